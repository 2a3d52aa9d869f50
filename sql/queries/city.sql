-- The map of everything, for observers with the role admin: one query a second, however many look.

-- name: city
-- $1 the most tasks to show
with clock as materialized (
    select hx_clock() as at
),

running as (
    select t.*
    from tasks as t
    where t.state in ('MATCHING', 'ACCEPTED', 'WORKING', 'PROOF_SUBMITTED') and t.mode = 'LIVE'
    order by t.created_at desc
    limit $1
),

today as (
    select t.*
    from clock
    inner join time_to_accept as t on t.started_at >= date_trunc('day', clock.at)
)

select jsonb_build_object(
    'at', clock.at,
    'tasks', coalesce(
        (
            select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                'id', r.id,
                'state', r.state,
                'lat', round(r.location_lat::numeric, 5),
                'lng', round(r.location_lng::numeric, 5),
                'price_cents', r.price,
                'title', r.title,
                'hustler_id', r.assigned_hustler_id,
                'hustler_name', u.first_name,
                'radius_miles', case when b.state = 'ACTIVE' then b.radius_miles end,
                'initial_radius_miles', case when b.state = 'ACTIVE' then b.initial_radius_miles end,
                'hustlers_notified', coalesce(n.notified, 0),
                'started_at', b.started_at,
                'expires_at', case when b.state = 'ACTIVE' then b.expires_at end
            )))
            from running as r
            left join users as u on u.id = r.assigned_hustler_id
            left join lateral (
                select l.*, broadcast_radius_miles(l, clock.at) as radius_miles
                from live_broadcasts as l
                where l.task_id = r.id
                order by l.started_at desc
                limit 1
            ) as b on true
            left join lateral (
                select count(*) as notified from offers as o where o.broadcast_id = b.id
            ) as n on true
            -- a task whose broadcast nobody accepted waits for its poster, not for hustlers
            where r.state <> 'MATCHING' or b.state = 'ACTIVE'
        ),
        '[]'
    ),
    'counts', (
        select jsonb_build_object(
            'matching', (select count(*) from live_broadcasts as b where b.state = 'ACTIVE'),
            'en_route', (
                select count(*) from tasks as t
                where t.state = 'ACCEPTED' and t.assigned_hustler_id is not null
            ),
            'working', (
                select count(*) from tasks as t where t.state in ('WORKING', 'PROOF_SUBMITTED')
            ),
            'offers_today', coalesce(sum(d.hustlers_notified), 0),
            'accepted_today', count(d.accept_s),
            'paid_today', (
                select count(*) from escrows as e
                where e.state = 'RELEASED' and e.ended_at >= date_trunc('day', clock.at)
            ),
            'no_accept_today', count(*) filter (where d.state in ('EXPIRED', 'CANCELLED')),
            'median_time_to_accept_s', percentile_cont(0.5) within group (order by d.accept_s),
            'p95_time_to_accept_s', percentile_cont(0.95) within group (order by d.accept_s),
            'median_first_card_s', percentile_cont(0.5) within group (order by d.first_card_s),
            'median_human_s', percentile_cont(0.5) within group (order by d.human_s)
        )
        from today as d
    )
)
from clock

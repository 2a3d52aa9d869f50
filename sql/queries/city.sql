-- The map of everything, for observers with the role admin (gateway/observer): once a second, however
-- many look, and each question bounded by what is shown or by what has happened since.

-- name: city_tasks
-- $1 the most tasks to show, newest first
with clock as materialized (
    select hx_clock() as at
),

running as (
    select t.*
    from tasks as t
    where t.state in ('MATCHING', 'ACCEPTED', 'WORKING', 'PROOF_SUBMITTED') and t.mode = 'LIVE'
    order by t.created_at desc
    limit $1
)

select
    r.id,
    r.state,
    r.location_lat as lat,
    r.location_lng as lng,
    r.price as price_cents,
    r.title,
    r.assigned_hustler_id as hustler_id,
    u.first_name as hustler_name,
    b.id as broadcast_id,
    b.started_at,
    case when b.state = 'ACTIVE' then broadcast_radius_miles(b, clock.at) end as radius_miles,
    case when b.state = 'ACTIVE' then b.initial_radius_miles end as initial_radius_miles,
    case when b.state = 'ACTIVE' then b.expires_at end as expires_at
from clock
cross join running as r
left join users as u on u.id = r.assigned_hustler_id
left join lateral (
    select l.id
    from live_broadcasts as l
    where l.task_id = r.id
    order by l.started_at desc
    limit 1
) as l on true
left join live_broadcasts as b on b.id = l.id
-- a task whose broadcast nobody accepted waits for its poster, not for hustlers
where r.state <> 'MATCHING' or b.state = 'ACTIVE'
order by r.created_at desc;

-- name: city_counts
-- What stands in the indexes of what is under way, and of today's payments.
with clock as materialized (
    select hx_clock() as at
)

select jsonb_build_object(
    'at', clock.at,
    'matching', (select count(*) from live_broadcasts as b where b.state = 'ACTIVE'),
    'en_route', (
        select count(*) from tasks as t
        where t.state = 'ACCEPTED' and t.assigned_hustler_id is not null
    ),
    'working', (select count(*) from tasks as t where t.state in ('WORKING', 'PROOF_SUBMITTED')),
    'paid_today', (
        select count(*) from escrows as e
        where e.state = 'RELEASED' and e.ended_at >= date_trunc('day', clock.at)
    )
)
from clock;

-- name: city_offers
-- $1 broadcasts: how many hustlers each was offered to.
select o.broadcast_id, count(*) as hustlers_notified
from offers as o
where o.broadcast_id = any($1)
group by o.broadcast_id;

-- name: city_ended
-- How the broadcasts went that were started since $1, the day's beginning, and ended behind ($2, $3):
-- the next $5 of them, those of $4 left out.
select
    a.broadcast_id,
    b.ended_at,
    a.state,
    a.accept_s::double precision as accept_s,
    a.first_card_s::double precision as first_card_s,
    a.human_s::double precision as human_s,
    a.hustlers_notified
from (
    select l.id, l.ended_at
    from live_broadcasts as l
    where l.ended_at >= $2 and (l.ended_at, l.id) > ($2, $3)
        and l.started_at >= $1 and l.id <> all($4)
    order by l.ended_at, l.id
    limit $5
) as b
inner join time_to_accept as a on a.broadcast_id = b.id
order by b.ended_at, b.id;

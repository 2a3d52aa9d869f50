-- Why a hustler is offered a task, or why not (engine/matching/offer_explanation.py).

-- name: explain_offer
-- $1 the task, $2 the hustler: what decides, of the task's latest broadcast, running or ended; no row
-- for an unknown task or user. Presence is not in here, so the distance is the caller's.
with clock as materialized (
    select hx_clock() as at
)

select jsonb_build_object(
    'at', clock.at,
    'mode', t.mode,
    'state', t.state,
    'category', t.category,
    'exact', jsonb_build_object('lat', t.location_lat, 'lng', t.location_lng),
    'place', jsonb_build_object('lat', t.place_lat, 'lng', t.place_lng),
    'broadcast', case when b.id is not null then jsonb_build_object(
        'id', b.id,
        'state', case when b.state = 'ACTIVE' and b.expires_at <= clock.at then 'EXPIRED' else b.state end,
        'runs', broadcast_runs(b, clock.at),
        'started_at', b.started_at,
        'expires_at', b.expires_at,
        'ended_at', case when not broadcast_runs(b, clock.at) then coalesce(b.ended_at, b.expires_at) end,
        'radius_miles', broadcast_radius_miles(b, clock.at),
        'next_expansion_at', broadcast_next_expansion_at(b, clock.at),
        'waves', (
            select jsonb_agg(
                jsonb_build_object('radius_miles', w.radius_miles, 'at', w.at, 'begun', w.at <= clock.at)
                order by w.at
            )
            from (
                select
                    least(
                        b.initial_radius_miles + b.expansion_step_miles * step, b.max_radius_miles
                    ) as radius_miles,
                    b.started_at + make_interval(secs => b.expansion_interval_s) * step as at
                from generate_series(
                    0,
                    ceil(
                        (b.max_radius_miles - b.initial_radius_miles) / b.expansion_step_miles
                    )::integer
                ) as step
            ) as w
            where w.at < coalesce(b.ended_at, b.expires_at)
        )
    ) end,
    'live', jsonb_build_object(
        'state', live_state(s, clock.at),
        'reason', live_state_reason(s, clock.at),
        'ends_at', live_state_ends_at(s, clock.at),
        'radius_miles', s.radius_miles,
        'categories', s.categories
    ),
    'busy', is_busy(u.id),
    'released_it', u.id = any(releasers(t.id)),
    'eligible', eligible(t, u, p),
    'eligibility', (
        select jsonb_agg(
            jsonb_build_object('clause', c.clause, 'needed', c.needed, 'has', c.has, 'ok', c.ok)
            order by c.ordinality
        )
        from eligibility_clauses(t, u, p) with ordinality as c
    ),
    'open_offers', (select count(*) from open_offers(array[u.id], clock.at) as f),
    'offer', (
        select jsonb_build_object(
            'offered_at', o.offered_at,
            'distance_miles', o.distance_miles,
            'matching_score', o.matching_score,
            'sent_at', o.sent_at,
            'responded_at', o.responded_at,
            'response', o.response
        )
        from offers as o where o.broadcast_id = b.id and o.hustler_id = u.id
    ),
    'inputs', jsonb_build_object(
        'trust_tier', u.trust_tier,
        'completion_rate', p.completion_rate,
        'approval_rate', p.approval_rate,
        'category_preferred', (t.category = any(p.preferred_categories))::integer,
        'category_count', case jsonb_typeof(p.category_counts -> t.category)
            when 'number' then p.category_counts -> t.category
        end,
        'minimum_price_cents', p.minimum_price_cents,
        'available_hours', p.available_minutes / 60.0,
        'tasks_taken', (
            select sum(c.value::double precision)
            from jsonb_each(p.category_counts) as c where jsonb_typeof(c.value) = 'number'
        ) / nullif(p.completion_rate, 0),
        'trade_verified', (t.required_trade = any(p.verified_trades))::integer,
        'expected_hours', t.estimated_minutes / 60.0,
        'price_cents', t.price,
        'market_price_cents', market_price_cents(t),
        'hours_to_deadline', extract(epoch from t.deadline - least(clock.at, b.ended_at)) / 3600.0
    )
)
from clock
cross join tasks as t
cross join users as u
inner join hustler_profiles as p on p.user_id = u.id
inner join live_status as s on s.user_id = u.id
left join lateral (
    select l.* from live_broadcasts as l
    where l.task_id = t.id
    order by l.started_at desc
    limit 1
) as b on true
where t.id = $1 and u.id = $2;

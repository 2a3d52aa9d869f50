-- What happened to a task or to a hustler, told for the map's readers (engine/admin/stories.py).

-- name: task_story
-- $1 the task
with clock as materialized (
    select hx_clock() as at
),

runs as (
    select b.*, coalesce(b.ended_at, least(b.expires_at, clock.at)) as until
    from clock
    inner join live_broadcasts as b on b.task_id = $1
),

-- every radius that a broadcast had, from when to when
waves as (
    select
        b.id as broadcast_id,
        w.at,
        least(b.initial_radius_miles + b.expansion_step_miles * w.step, b.max_radius_miles) as radius_miles,
        least(b.until, w.at + make_interval(secs => b.expansion_interval_s)) as until
    from runs as b
    cross join lateral (
        select
            step,
            b.started_at + make_interval(secs => b.expansion_interval_s) * step as at
        from generate_series(
            0, ceil((b.max_radius_miles - b.initial_radius_miles) / b.expansion_step_miles)::integer
        ) as step
    ) as w
    where w.at < b.until or w.step = 0
),

answers as (
    select o.*, u.first_name
    from offers as o
    inner join users as u on u.id = o.hustler_id
    where o.broadcast_id in (select id from runs) and o.response in ('DECLINE', 'SKIP')
    order by o.responded_at
    limit 20
),

steps (at, rank, kind, who, radius_miles, offers, cents, miles, note) as (
    select
        t.created_at, 0, 'POSTED', u.first_name, null::float8, null::bigint, t.price, null::float8,
        null::text
    from tasks as t
    inner join users as u on u.id = t.poster_id
    where t.id = $1
    union all
    select e.funded_at, 1, 'FUNDED', null, null, null, e.amount, null, null
    from escrows as e
    where e.task_id = $1 and e.funded_at is not null
    union all
    select w.at, 2, 'WAVE', null, w.radius_miles, count(o.hustler_id), null, null, null
    from waves as w
    left join offers as o
        on o.broadcast_id = w.broadcast_id
        and o.offered_at >= w.at and (o.offered_at < w.until or w.until is null)
    group by w.broadcast_id, w.at, w.radius_miles
    union all
    select min(o.sent_at), 3, 'FIRST_CARD', null, null, null, null, null, null
    from offers as o
    where o.broadcast_id in (select id from runs) and o.sent_at is not null
    group by o.broadcast_id
    union all
    select a.responded_at, 4, case a.response when 'DECLINE' then 'DECLINED' else 'SKIPPED' end,
        a.first_name, null, null, null, a.distance_miles, a.decline_reason
    from answers as a
    union all
    select b.ended_at, 4, 'NOBODY_CAME', null, null, null, null, null, null
    from runs as b
    where b.state = 'EXPIRED'
    union all
    select t.accepted_at, 5, 'ACCEPTED', u.first_name, null, null, null, o.distance_miles, null
    from tasks as t
    inner join users as u on u.id = t.assigned_hustler_id
    left join offers as o
        on o.broadcast_id in (select id from runs) and o.hustler_id = u.id and o.response = 'ACCEPT'
    where t.id = $1 and t.accepted_at is not null
    union all
    select t.arrived_at, 6, 'ARRIVED', null, null, null, null, null, null
    from tasks as t
    where t.id = $1 and t.arrived_at is not null
    union all
    select t.started_at, 7, 'STARTED', null, null, null, null, null, null
    from tasks as t
    where t.id = $1 and t.started_at is not null
    union all
    select p.submitted_at, 8, 'PROOF', null, null, null, null, null, p.kind
    from proofs as p
    where p.task_id = $1 and p.submitted_at is not null
    union all
    select p.reviewed_at, 9, 'REJECTED', null, null, null, null, null, p.reject_reason
    from proofs as p
    where p.task_id = $1 and p.state = 'REJECTED'
    union all
    select h.at, 10, h.to_state, null, null, null, null, null, h.reason
    from task_transitions as h
    where h.task_id = $1 and h.to_state in ('DISPUTED', 'COMPLETED', 'CANCELLED', 'EXPIRED')
    union all
    select e.ended_at, 11, 'PAID', null, null, null, e.release_amount - e.fee_amount, null, null
    from escrows as e
    where e.task_id = $1 and e.ended_at is not null and e.release_amount > 0
    union all
    select e.ended_at, 12, 'REFUNDED', null, null, null, e.refund_amount, null, null
    from escrows as e
    where e.task_id = $1 and e.ended_at is not null and e.refund_amount > 0
)

select jsonb_build_object(
    'id', t.id,
    'title', t.title,
    'category', t.category,
    'address', t.location_address,
    'mode', t.mode,
    'state', t.state,
    'price_cents', t.price,
    'poster_name', p.first_name,
    'hustler_id', t.assigned_hustler_id,
    'hustler_name', h.first_name,
    'predecessor_id', t.predecessor_id,
    'successor_id', (select s.id from tasks as s where s.predecessor_id = t.id),
    'radius_miles', b.radius_miles,
    'next_expansion_at', b.next_expansion_at,
    'expires_at', b.expires_at,
    'at', clock.at,
    'steps', (
        select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
            'at', s.at, 'kind', s.kind, 'name', s.who, 'radius_miles', s.radius_miles,
            'offers', s.offers, 'cents', s.cents, 'miles', round(s.miles::numeric, 2), 'note', s.note
        )) order by s.at, s.rank)
        from steps as s
    )
)
from clock
inner join tasks as t on t.id = $1
inner join users as p on p.id = t.poster_id
left join users as h on h.id = t.assigned_hustler_id
left join lateral (
    select
        broadcast_radius_miles(l, clock.at) as radius_miles,
        broadcast_next_expansion_at(l, clock.at) as next_expansion_at,
        l.expires_at
    from live_broadcasts as l
    where l.task_id = t.id and broadcast_runs(l, clock.at)
) as b on true;

-- name: hustler_story
-- $1 the hustler
with clock as materialized (
    select hx_clock() as at
),

cards as (
    select o.*, t.title, t.price, t.state
    from clock
    inner join offers as o
        on o.hustler_id = $1 and o.offered_at >= clock.at - interval '1 day'
        -- no broadcast runs for a day: months before are left alone
        and o.broadcast_id >= id_floor(clock.at - interval '2 days')
    inner join tasks as t on t.id = o.task_id
),

held as (
    select t.id, t.title, t.state, t.price, t.accepted_at, e.release_amount - e.fee_amount as paid_cents
    from clock
    inner join tasks as t
        on t.assigned_hustler_id = $1 and t.accepted_at >= clock.at - interval '1 day'
    left join escrows as e on e.task_id = t.id and e.state = 'RELEASED'
)

select jsonb_build_object(
    'id', u.id,
    'first_name', u.first_name,
    'trust_tier', u.trust_tier,
    'total_xp', u.total_xp,
    'live', live_view(s),
    'at', clock.at,
    'cards', (select count(*) from cards),
    'declined', (select count(*) from cards as c where c.response = 'DECLINE'),
    'accepted', (select count(*) from held),
    'paid', (select count(*) from held as d where d.paid_cents is not null),
    'earned_cents', (select coalesce(sum(d.paid_cents), 0) from held as d),
    'tasks', (
        select coalesce(jsonb_agg(jsonb_build_object(
            'id', d.id, 'title', d.title, 'state', d.state, 'price_cents', d.price,
            'accepted_at', d.accepted_at, 'paid_cents', d.paid_cents
        ) order by d.accepted_at desc), '[]')
        from (select * from held as l order by l.accepted_at desc limit 10) as d
    ),
    'offers', (
        select coalesce(jsonb_agg(jsonb_build_object(
            'task_id', c.task_id, 'title', c.title, 'price_cents', c.price,
            'miles', round(c.distance_miles::numeric, 2), 'offered_at', c.offered_at,
            'response', c.response
        ) order by c.offered_at desc), '[]')
        from (select * from cards as l order by l.offered_at desc limit 10) as c
    )
)
from clock
inner join users as u on u.id = $1
left join live_status as s on s.user_id = u.id
where u.role in ('hustler', 'dual')

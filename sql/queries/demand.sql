-- Where work is and how fast it is taken (gateway/tracking/demand.py).

-- name: demand
-- $1 the most rows of each kind: places of funded tasks that wait for a hustler, and of those that were
-- accepted out of a broadcast within a day with the seconds it took; the newest first.
with clock as materialized (
    select hx_clock() as at
),

waiting as (
    select t.location_lat as lat, t.location_lng as lng
    from (
        select b.task_id
        from live_broadcasts as b
        where b.state = 'ACTIVE'
        order by b.id desc
        limit $1
    ) as b
    inner join tasks as t on t.id = b.task_id
    union all
    (
        select t.location_lat, t.location_lng
        from escrows as e
        inner join tasks as t on t.id = e.task_id and t.state = 'OPEN'
        where e.state = 'FUNDED' and e.is_current
        limit $1
    )
),

accepted as (
    select
        t.location_lat as lat,
        t.location_lng as lng,
        extract(epoch from b.ended_at - b.started_at)::double precision as accept_s
    from (
        select b.task_id, b.started_at, b.ended_at
        from clock
        inner join live_broadcasts as b
            on b.state = 'ACCEPTED' and b.ended_at > clock.at - interval '24 hours'
        order by b.ended_at desc
        limit $1
    ) as b
    inner join tasks as t on t.id = b.task_id
)

select jsonb_build_object(
    'at', clock.at,
    'waiting', (select coalesce(jsonb_agg(jsonb_build_array(w.lat, w.lng)), '[]') from waiting as w),
    'accepted', (
        select coalesce(jsonb_agg(jsonb_build_array(a.lat, a.lng, a.accept_s)), '[]') from accepted as a
    )
)
from clock;

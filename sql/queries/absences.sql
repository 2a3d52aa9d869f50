-- Which sessions end when their hustler is away (gateway/tracking/absences.py): open for $2 seconds, and
-- no task in hand.

-- name: endable_sessions_of
-- $1 hustlers
with clock as materialized (select hx_clock() as at)

select s.user_id
from clock
inner join live_status as s
    on s.user_id = any($1::uuid[])
    and s.active_since < clock.at - make_interval(secs => $2::double precision)
where not exists (
    select from tasks as t
    where t.assigned_hustler_id = s.user_id and t.state in ('ACCEPTED', 'WORKING')
);

-- name: endable_sessions_after
-- of everybody, by id: at most $3 behind $1
with clock as materialized (select hx_clock() as at)

select s.user_id
from clock
inner join live_status as s
    on s.session_id is not null and s.user_id > $1
    and s.active_since < clock.at - make_interval(secs => $2::double precision)
where not exists (
    select from tasks as t
    where t.assigned_hustler_id = s.user_id and t.state in ('ACCEPTED', 'WORKING')
)
order by s.user_id
limit $3;

-- What /metrics reads from the truth when it is asked.

-- name: broadcasts_ended_between
-- How the broadcasts went that ended in ($1, $2]; times in seconds, null where nothing happened.
select
    b.state,
    a.first_card_s::double precision as first_card_s,
    a.accept_s::double precision as accept_s,
    a.human_s::double precision as human_s
from live_broadcasts as b
inner join time_to_accept as a on a.broadcast_id = b.id
where b.ended_at > $1 and b.ended_at <= $2
order by b.ended_at;

-- name: live_sessions_open
-- The clock is asked once, and so the state becomes part of the plan instead of a call for each row;
-- who has no session is not looked at (live_status_open).
with clock as materialized (
    select hx_clock() as at
)

select count(*)
from clock
inner join live_status as s on s.session_id is not null and live_state(s, clock.at) = 'ACTIVE';

-- name: error_catalogue
select c.code, c.invariant, c.title, c.retryable from error_catalogue as c;

-- What /metrics reads from the truth when it is asked.

-- name: accepted_between
-- Times to accept of the broadcasts that ended in ($1, $2], seconds.
select a.accept_s::double precision as accept_s, a.human_s::double precision as human_s
from time_to_accept as a
join live_broadcasts as b on b.id = a.broadcast_id
where b.state = 'ACCEPTED' and b.ended_at > $1 and b.ended_at <= $2
order by b.ended_at;

-- name: live_sessions_open
select count(*) from live_status as s where live_state(s, hx_clock()) = 'ACTIVE';

-- name: error_catalogue
select c.code, c.invariant, c.title, c.retryable from error_catalogue as c;

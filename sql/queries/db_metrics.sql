-- What /metrics reads from the truth when it is asked.

-- name: broadcasts_to_count
-- How the broadcasts went that nobody has counted yet and that ended at least $1 ago.
select c.state, c.first_card_s, c.accept_s, c.human_s from count_ended_broadcasts($1) as c;

-- name: last_verification
-- Unix time of the last one of all processes; no row before the first.
select extract(epoch from l.worked_at)::double precision
from leases as l where l.name = 'verification' and l.worked_at is not null;

-- name: broken_invariants
select i.subject, (i.details ->> 'count')::integer as disagreements
from admin_items as i
where i.kind = 'INVARIANT_BROKEN' and i.closed_at is null;

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

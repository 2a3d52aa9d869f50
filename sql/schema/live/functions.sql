-- LIVE mode, derived: shift, state, who is busy, what may be held at once.

-- ── Shifts ──────────────────────────────────────────────────────────────────────────────────────
-- 4 h of LIVE time → COOLDOWN for 30 min, then the next 4 h begin; a warning after 3 h
-- (product_spec §3.5). One turn of both takes 16,200 s.
-- How far a shift has come at an instant, in seconds of its turn.
create or replace function shift_s(p_since timestamptz, at timestamptz) returns numeric
language sql immutable
return extract(epoch from at - p_since) % 16200;

-- When the turn that an instant lies in began.
create or replace function shift_turn(p_since timestamptz, at timestamptz) returns timestamptz
language sql immutable
return p_since + floor(extract(epoch from at - p_since) / 16200)::double precision
    * interval '4.5 hours';

-- Until when the hustler must rest; null when rested. A rest that has begun goes on when LIVE mode is
-- switched off, and is still there when it is switched on again.
create or replace function rest_ends_at(s live_status, at timestamptz) returns timestamptz
language sql immutable
return (
    select shift_turn(s.shift_since, w.stopped_at) + interval '4.5 hours'
    from (
        select case when s.session_id is null then s.off_since else at end as stopped_at
    ) as w
    where shift_s(s.shift_since, w.stopped_at) >= 14400
        and shift_turn(s.shift_since, w.stopped_at) + interval '4.5 hours' > at
);

-- Where a shift stands when LIVE mode is switched on: time off does not count as work; half an hour
-- of it, or the end of a rest that was due, begins a new shift.
create or replace function shift_resumed(s live_status, at timestamptz) returns timestamptz
language sql immutable
return case
    when rest_ends_at(s, at) is not null then s.shift_since
    when s.off_since is null or at - s.off_since >= interval '30 minutes' then at
    when shift_s(s.shift_since, s.off_since) >= 14400 then at
    else s.shift_since + greatest(at - s.off_since, interval '0')
end;

-- ── State ───────────────────────────────────────────────────────────────────────────────────────
-- The state of a hustler at an instant: a function of the row and the clock, never of a sweeper. It is
-- asked for each pair of a wave: all in it is immutable and without a query, so that it is inlined.
create or replace function live_state(s live_status, at timestamptz) returns text
language sql immutable
return case
    when s.session_id is null then 'OFF'
    when s.banned_until > at then 'OFF'
    when s.cooldown_until > at then 'COOLDOWN'
    when s.paused_until > at then 'PAUSED'
    when shift_s(s.shift_since, at) >= 14400 then 'COOLDOWN'
    else 'ACTIVE'
end;

-- Null for a state that time does not end; so also for a ban until an admin lifts it.
create or replace function live_state_ends_at(s live_status, at timestamptz) returns timestamptz
language sql immutable
return case
    when s.banned_until > at then nullif(s.banned_until, 'infinity')
    when s.session_id is null then null
    when s.cooldown_until > at then s.cooldown_until
    when s.paused_until > at then s.paused_until
    else rest_ends_at(s, at)
end;

create or replace function live_state_reason(s live_status, at timestamptz) returns text
language sql immutable
return case
    when s.banned_until > at then 'BANNED'
    when s.session_id is null then null
    when s.cooldown_until > at then s.cooldown_reason
    when s.paused_until > at then s.paused_reason
    when shift_s(s.shift_since, at) >= 14400 then 'FATIGUE'
end;

-- The next instant at which time changes the state, or the warning after 3 h is due; null when none.
create or replace function live_state_changes_at(s live_status, at timestamptz) returns timestamptz
language sql immutable
return (
    select min(b.due_at)
    from (
        values
        (nullif(s.banned_until, 'infinity')),
        (case when s.session_id is not null then s.cooldown_until end),
        (case when s.session_id is not null then s.paused_until end),
        (case when s.session_id is not null then shift_turn(s.shift_since, at) + interval '3 hours' end),
        (case when s.session_id is not null then shift_turn(s.shift_since, at) + interval '4 hours' end),
        (case when s.session_id is not null then shift_turn(s.shift_since, at) + interval '4.5 hours' end)
    ) as b (due_at)
    where b.due_at > at
);

-- ── What may be held at once ────────────────────────────────────────────────────────────────────
-- Busy: a LIVE task in ACCEPTED or WORKING, or WORKING on any task (design §2, Live mode).
create or replace function is_busy(p_hustler uuid) returns boolean
language sql stable
return exists (
    select from tasks as t
    where t.assigned_hustler_id = p_hustler
        and (t.state = 'WORKING' or (t.state = 'ACCEPTED' and t.mode = 'LIVE'))
);

-- A yes counts for the accept that it was said for: this one, or another try within seconds.
create or replace function just_said(said_at timestamptz, at timestamptz) returns boolean
language sql immutable
return said_at between at - interval '10 seconds' and at;

-- At most this many STANDARD tasks are open in one hustler's hands (design §2, Live mode).
create or replace function standard_tasks_max() returns integer
language sql immutable return 5;

create or replace function open_standard_tasks(p_hustler uuid) returns bigint
language sql stable
return (
    select count(*) from tasks as t
    where t.assigned_hustler_id = p_hustler and t.mode = 'STANDARD'
        and t.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED')
);

-- LIVE mode, derived: shift, state, who is busy, what may be held at once.

-- ── Shifts ──────────────────────────────────────────────────────────────────────────────────────
-- So much LIVE time, after a warning, then a COOLDOWN, then the next shift begins (product_spec §3.5):
-- both together are a turn. Whether the turn has come to its rest at an instant.
create or replace function shift_is_over(p_since timestamptz, at timestamptz) returns boolean
language sql immutable
return extract(epoch from at - p_since) % extract(epoch from live_shift() + live_rest())
    >= extract(epoch from live_shift());

-- When the turn that an instant lies in began.
create or replace function shift_turn(p_since timestamptz, at timestamptz) returns timestamptz
language sql immutable
return p_since + floor(
    extract(epoch from at - p_since) / extract(epoch from live_shift() + live_rest())
)::double precision * (live_shift() + live_rest());

-- Until when the hustler must rest; null when rested. A rest that has begun goes on when LIVE mode is
-- switched off, and is still there when it is switched on again.
create or replace function rest_ends_at(s live_status, at timestamptz) returns timestamptz
language sql immutable
return (
    select shift_turn(s.shift_since, w.stopped_at) + live_shift() + live_rest()
    from (
        select case when s.session_id is null then s.off_since else at end as stopped_at
    ) as w
    where shift_is_over(s.shift_since, w.stopped_at)
        and shift_turn(s.shift_since, w.stopped_at) + live_shift() + live_rest() > at
);

-- Where a shift stands when LIVE mode is switched on: time off does not count as work; a rest's
-- time of it, or the end of a rest that was due, begins a new shift.
create or replace function shift_resumed(s live_status, at timestamptz) returns timestamptz
language sql immutable
return case
    when rest_ends_at(s, at) is not null then s.shift_since
    when s.off_since is null or at - s.off_since >= live_rest() then at
    when shift_is_over(s.shift_since, s.off_since) then at
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
    when shift_is_over(s.shift_since, at) then 'COOLDOWN'
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
    when shift_is_over(s.shift_since, at) then 'FATIGUE'
end;

-- The next instant at which time changes the state, or the warning of a shift is due; null when none.
create or replace function live_state_changes_at(s live_status, at timestamptz) returns timestamptz
language sql immutable
return (
    select min(b.due_at)
    from (
        values
        (nullif(s.banned_until, 'infinity')),
        (case when s.session_id is not null then s.cooldown_until end),
        (case when s.session_id is not null then s.paused_until end),
        (case when s.session_id is not null then shift_turn(s.shift_since, at) + live_shift_warning() end),
        (case when s.session_id is not null then shift_turn(s.shift_since, at) + live_shift() end),
        (
            case
                when s.session_id is not null
                    then shift_turn(s.shift_since, at) + live_shift() + live_rest()
            end
        )
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
return said_at between at - consent_window() and at;

create or replace function open_standard_tasks(p_hustler uuid) returns bigint
language sql stable
return (
    select count(*) from tasks as t
    where t.assigned_hustler_id = p_hustler and t.mode = 'STANDARD'
        and t.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED')
);

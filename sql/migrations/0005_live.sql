-- LIVE mode: status, sessions, broadcasts, offers, and their judges.

create table live_sessions (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    started_at timestamptz not null default hx_clock(),
    ended_at timestamptz,
    end_reason text,
    tasks_accepted integer not null default 0,
    tasks_declined integer not null default 0,
    declines_in_row integer not null default 0,
    -- ended because its positions were impossible: three within 30 days ban (architecture §10.7)
    impossible_positions boolean not null default false,
    constraint live_sessions_pkey primary key (id),
    constraint live_sessions_user foreign key (user_id) references users (id),
    constraint live_sessions_end_reason check (end_reason in ('MANUAL', 'OFFLINE', 'FORCED')),
    constraint live_sessions_ended check ((ended_at is null) = (end_reason is null)),
    constraint live_sessions_impossible check (not impossible_positions or end_reason = 'FORCED')
);
create unique index one_open_live_session_per_user on live_sessions (user_id) where ended_at is null;
create index live_sessions_by_user on live_sessions (user_id, started_at desc);

-- One row per user: what live_state() judges by, and the lock that orders a hustler's accepts.
create table live_status (
    user_id uuid not null,
    session_id uuid,
    active_since timestamptz,
    cooldown_until timestamptz,
    cooldown_reason text not null default 'ACCEPTS',
    paused_until timestamptz,
    paused_reason text,
    -- 'infinity': until an admin lifts it
    banned_until timestamptz,
    -- The shift belongs to the person, not to the session: LIVE time since the last rest, as if all of
    -- it had been worked without a break from shift_since on; off_since stops it. Written by
    -- live_status_shift() alone.
    shift_since timestamptz,
    off_since timestamptz,
    -- absent means no own limit
    radius_miles double precision,
    categories text[],
    version integer not null default 1,
    constraint live_status_pkey primary key (user_id),
    constraint live_status_user foreign key (user_id) references users (id),
    constraint live_status_session foreign key (session_id) references live_sessions (id),
    constraint live_status_paused_reason check (
        paused_reason in ('DECLINES', 'COMPLETION_RATE', 'QUICK_RELEASES')
    ),
    constraint live_status_cooldown_reason check (cooldown_reason in ('ACCEPTS', 'ADMIN')),
    constraint live_status_radius check (radius_miles between 1 and 25),
    -- none at all would be a session that is never offered anything; absent means all
    constraint live_status_categories check (cardinality(categories) > 0),
    constraint live_status_since check ((session_id is null) = (active_since is null))
);

create index live_status_open on live_status (user_id) where session_id is not null;

-- ── Shifts ─────────────────────────────────────────────────────────────────────────────────────
-- 4 h of LIVE time → COOLDOWN for 30 min, then the next 4 h begin; a warning after 3 h
-- (product_spec §3.5). One turn of both takes 16,200 s.
-- How far a shift has come at an instant, in seconds of its turn.
create function shift_s(p_since timestamptz, at timestamptz) returns numeric
language sql immutable
return extract(epoch from at - p_since) % 16200;

-- When the turn that an instant lies in began.
create function shift_turn(p_since timestamptz, at timestamptz) returns timestamptz
language sql immutable
return p_since + floor(extract(epoch from at - p_since) / 16200)::double precision
    * interval '4.5 hours';

-- Until when the hustler must rest; null when rested. A rest that has begun goes on when LIVE mode is
-- switched off, and is still there when it is switched on again.
create function rest_ends_at(s live_status, at timestamptz) returns timestamptz
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
create function shift_resumed(s live_status, at timestamptz) returns timestamptz
language sql immutable
return case
    when rest_ends_at(s, at) is not null then s.shift_since
    when s.off_since is null or at - s.off_since >= interval '30 minutes' then at
    when shift_s(s.shift_since, s.off_since) >= 14400 then at
    else s.shift_since + greatest(at - s.off_since, interval '0')
end;

-- HX601: a shift runs by the clock and by LIVE mode being on, whoever writes; no rest is shortened by
-- switching off and on, nor by hand.
create function live_status_shift() returns trigger
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
begin
    if (old.shift_since, old.off_since) is distinct from (new.shift_since, new.off_since) then
        perform hx_refuse('HX601', 'LIVE-REST', rest_ends_at(old, at));
    end if;
    if old.session_id is null and new.session_id is not null then
        new.active_since := at;
        new.shift_since := shift_resumed(old, at);
        new.off_since := null;
    elsif old.session_id is not null and new.session_id is null then
        new.off_since := at;
    end if;
    return new;
end;
$$;

create trigger live_status_shift before update on live_status
for each row when (
    (old.session_id, old.shift_since, old.off_since)
    is distinct from (new.session_id, new.shift_since, new.off_since)
)
execute function live_status_shift();

-- ── State ──────────────────────────────────────────────────────────────────────────────────────
-- The state of a hustler at an instant: a function of the row and the clock, never of a sweeper. It is
-- asked for each pair of a wave: all in it is immutable and without a query, so that it is inlined.
create function live_state(s live_status, at timestamptz) returns text
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
create function live_state_ends_at(s live_status, at timestamptz) returns timestamptz
language sql immutable
return case
    when s.banned_until > at then nullif(s.banned_until, 'infinity')
    when s.session_id is null then null
    when s.cooldown_until > at then s.cooldown_until
    when s.paused_until > at then s.paused_until
    else rest_ends_at(s, at)
end;

create function live_state_reason(s live_status, at timestamptz) returns text
language sql immutable
return case
    when s.banned_until > at then 'BANNED'
    when s.session_id is null then null
    when s.cooldown_until > at then s.cooldown_reason
    when s.paused_until > at then s.paused_reason
    when shift_s(s.shift_since, at) >= 14400 then 'FATIGUE'
end;

-- The next instant at which time changes the state, or the warning after 3 h is due; null when none.
create function live_state_changes_at(s live_status, at timestamptz) returns timestamptz
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

-- Every change of the state that time will make has its timer, whoever wrote what it follows from.
create function live_status_timer() returns trigger
language plpgsql
as $$
declare
    due timestamptz := live_state_changes_at(new, hx_clock());
begin
    if due is null then
        delete from timers where kind = 'LIVE_STATE' and subject = new.user_id;
    else
        perform hx_timer('LIVE_STATE', new.user_id, due);
    end if;
    return null;
end;
$$;

create trigger live_status_timer after update on live_status
for each row when (
    (old.session_id, old.cooldown_until, old.paused_until, old.banned_until)
    is distinct from (new.session_id, new.cooldown_until, new.paused_until, new.banned_until)
)
execute function live_status_timer();

-- HX905, HX904: nobody switches LIVE on while banned, nor twice by hand within 5 minutes.
-- A return after OFFLINE or a forced end is no toggle.
create function live_toggle_guard() returns trigger
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    last_on_at timestamptz;
begin
    if old.banned_until > at then
        perform hx_refuse('HX905', 'LIVE-BAN', old.banned_until);
    end if;
    select l.started_at into last_on_at
    from live_sessions as l
    where l.user_id = old.user_id and l.end_reason = 'MANUAL'
    order by l.started_at desc
    limit 1;
    -- one from a far future was before the clock was set back
    if last_on_at > at - interval '5 minutes' and last_on_at < at + interval '5 minutes' then
        perform hx_refuse('HX904', 'LIVE-TOGGLE', last_on_at + interval '5 minutes');
    end if;
    return new;
end;
$$;

create trigger live_toggle_guard before update of session_id on live_status
for each row when (old.session_id is null and new.session_id is not null)
execute function live_toggle_guard();

-- HX905: a ban is lifted or shortened only by an admin, whose act of this transaction is on record.
-- HX601: so is a cooldown; a pause runs its time.
-- HX903: a status names its hustler's own open session.
create function live_status_guard() returns trigger
language plpgsql
as $$
begin
    if old.banned_until > hx_clock() and (new.banned_until < old.banned_until) is not false
        and not acted_on_user(new.user_id, array['LIVE_BAN', 'LIFT_LIVE_BAN'])
    then
        perform hx_refuse('HX905', 'LIVE-BAN', old.banned_until);
    end if;
    if old.cooldown_until > hx_clock() and (new.cooldown_until < old.cooldown_until) is not false
        and not acted_on_user(new.user_id, array['LIVE_SET_COOLDOWN', 'LIVE_END_COOLDOWN'])
    then
        perform hx_refuse('HX601', 'LIVE-REST', old.cooldown_until);
    end if;
    if old.paused_until > hx_clock() and (new.paused_until < old.paused_until) is not false then
        perform hx_refuse('HX601', 'LIVE-REST', old.paused_until);
    end if;
    if new.session_id is not null and not exists (
        select from live_sessions as l
        where l.id = new.session_id and l.user_id = new.user_id and l.ended_at is null
    ) then
        perform hx_refuse('HX903', 'LIVE-3');
    end if;
    return new;
end;
$$;

create trigger live_status_guard before update on live_status
for each row when (
    (old.user_id, old.session_id, old.banned_until, old.cooldown_until, old.paused_until)
    is distinct from
    (new.user_id, new.session_id, new.banned_until, new.cooldown_until, new.paused_until)
)
execute function live_status_guard();

-- HX801: how a session ended is history, and decides whether LIVE may be switched on again (HX904).
create function live_session_guard() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse('HX801', 'AUDIT-5');
    return null;
end;
$$;

create trigger live_session_guard before update on live_sessions
for each row when (
    old.ended_at is not null
    and (old.id, old.user_id, old.started_at, old.ended_at, old.end_reason, old.impossible_positions)
    is distinct from
    (new.id, new.user_id, new.started_at, new.ended_at, new.end_reason, new.impossible_positions)
)
execute function live_session_guard();

-- Where somebody was when a position of theirs was last believed: the first one of the next session is
-- judged by it, whichever process takes it. The exact place is nobody else's business, and a row that
-- erasure can empty. A fix that is older than the one kept changes nothing.
create table last_fixes (
    user_id uuid not null,
    lat double precision not null,
    lng double precision not null,
    accuracy_m double precision not null,
    -- by the clock of the process that believed it
    fixed_at timestamptz not null,
    -- by the clock that decides
    kept_at timestamptz not null default hx_clock(),
    constraint last_fixes_pkey primary key (user_id),
    constraint last_fixes_user foreign key (user_id) references users (id),
    constraint last_fixes_place check (
        lat between -90 and 90 and lng between -180 and 180 and accuracy_m >= 0
    )
);
revoke select on last_fixes from hx_ai, hx_readonly;

create table live_broadcasts (
    id uuid not null default gen_random_uuid(),
    task_id uuid not null,
    state text not null default 'ACTIVE',
    started_at timestamptz not null default hx_clock(),
    expires_at timestamptz not null,
    ended_at timestamptz,
    accepted_by uuid,
    initial_radius_miles double precision not null,
    max_radius_miles double precision not null,
    expansion_step_miles double precision not null,
    expansion_interval_s integer not null,
    constraint live_broadcasts_pkey primary key (id),
    constraint live_broadcasts_task foreign key (task_id) references tasks (id),
    constraint live_broadcasts_state check (
        state in ('ACTIVE', 'ACCEPTED', 'EXPIRED', 'CANCELLED')
    ),
    constraint live_broadcasts_ended check ((state = 'ACTIVE') = (ended_at is null)),
    constraint live_broadcasts_ttl check (expires_at > started_at),
    constraint live_broadcasts_plan check (
        initial_radius_miles > 0
        -- the cover of cells reaches no farther (geo/cells.py)
        and max_radius_miles between initial_radius_miles and 25
        and expansion_step_miles > 0
        and expansion_interval_s > 0
    )
);
create unique index one_active_broadcast_per_task on live_broadcasts (task_id)
where state = 'ACTIVE';
create index live_broadcasts_by_end on live_broadcasts (ended_at);
create index live_broadcasts_by_task on live_broadcasts (task_id, started_at desc);

-- An offer is unique per (broadcast, hustler). Rows are written by the wave's insert and by their
-- own hustler's answer, by nothing else; whether one is open is derived. No foreign keys: they
-- collide with the accept's row lock and cost four times the insert rate (ADR 0004).
create table offers (
    broadcast_id uuid not null,
    hustler_id uuid not null,
    task_id uuid not null,
    offered_at timestamptz not null default hx_clock(),
    distance_miles double precision not null,
    matching_score double precision not null,
    -- when the card was first written to a socket
    sent_at timestamptz,
    responded_at timestamptz,
    response text,
    decline_reason text,
    constraint offers_pkey primary key (broadcast_id, hustler_id),
    constraint offers_score check (matching_score between 0 and 1),
    constraint offers_distance check (distance_miles >= 0),
    constraint offers_response check (response in ('ACCEPT', 'DECLINE', 'SKIP')),
    constraint offers_responded check ((response is null) = (responded_at is null))
);
create index offers_by_hustler on offers (hustler_id, offered_at desc);
create index offers_unsent on offers (broadcast_id) where sent_at is null;

-- HX012: nobody is offered what lies farther than the broadcast reaches now (LIVE-4). HX010: an offer is
-- of its broadcast's task, and born unanswered. One look for a whole wave, which writes hundreds.
-- The distance is to the rounded place, the radius counts to the exact one: what lies between the two is
-- let pass, and so is a broadcaster's clock that runs a little ahead of ours.
create function offer_reach_guard() returns trigger
language plpgsql
as $$
declare
    at timestamptz := hx_clock() + interval '1 second';
    misplaced boolean;
    beyond uuid[];
    miles double precision[];
begin
    select
        bool_or(m.answered or b.task_id is distinct from m.task_id),
        array_agg(m.broadcast_id) filter (where m.farthest > broadcast_radius_miles(b, at)),
        array_agg(m.farthest) filter (where m.farthest > broadcast_radius_miles(b, at))
    into misplaced, beyond, miles
    from (
        select
            o.broadcast_id,
            o.task_id,
            max(o.distance_miles) as farthest,
            bool_or(o.response is not null) as answered
        from made as o
        group by o.broadcast_id, o.task_id
    ) as m
    left join live_broadcasts as b on b.id = m.broadcast_id;
    if misplaced then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if beyond is not null and exists (
        select from unnest(beyond, miles) as m (broadcast_id, farthest)
        inner join live_broadcasts as b on b.id = m.broadcast_id
        inner join tasks as t on t.id = b.task_id
        where m.farthest > broadcast_radius_miles(b, at) * (1 + 1e-9)
            + miles_between(t.location_lat, t.location_lng, t.place_lat, t.place_lng)
    ) then
        perform hx_refuse('HX012', 'ELIGIBILITY');
    end if;
    return null;
end;
$$;

create trigger offer_reach_guard after insert on offers
referencing new table as made
for each statement execute function offer_reach_guard();

-- HX010: an offer stays whose it is and as far away as it was, and an accept or a decline is final
-- (design §2, Live mode).
create function offer_guard() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse('HX010', 'TRANSITION');
    return null;
end;
$$;

create trigger offer_guard before update on offers
for each row when (
    (old.broadcast_id, old.hustler_id, old.task_id, old.distance_miles)
    is distinct from (new.broadcast_id, new.hustler_id, new.task_id, new.distance_miles)
    or (
        old.response in ('ACCEPT', 'DECLINE')
        and (old.response, old.responded_at) is distinct from (new.response, new.responded_at)
    )
)
execute function offer_guard();

-- HX901 (LIVE-1): no broadcast without a FUNDED escrow, locked so that it stays so. HX010: it starts
-- ACTIVE, for a LIVE task that waits. HX503: its poster's account is open.
create function live_broadcast_requires_funded_escrow() returns trigger
language plpgsql
as $$
begin
    if not escrow_is_funded(new.task_id) then
        perform hx_refuse('HX901', 'LIVE-1');
    end if;
    if not exists (
        select from tasks as t where t.id = new.task_id and account_is_active(t.poster_id)
    ) then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
    if new.state <> 'ACTIVE' or new.accepted_by is not null or not exists (
        select from tasks as t where t.id = new.task_id and t.mode = 'LIVE' and t.state = 'MATCHING'
    ) then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return new;
end;
$$;

create trigger live_broadcast_requires_funded_escrow before insert on live_broadcasts
for each row execute function live_broadcast_requires_funded_escrow();

-- A broadcast stays what it was started as, and once ended never changes (LIVE-1, LIVE-5); who won
-- it is who holds the task.
create function live_broadcast_guard() returns trigger
language plpgsql
as $$
begin
    if old.state <> 'ACTIVE' and old is distinct from new
        or (new.state = 'ACCEPTED') <> (new.accepted_by is not null)
        or new.accepted_by is not null and not exists (
            select from tasks as t
            where t.id = new.task_id and t.state = 'ACCEPTED'
                and t.assigned_hustler_id = new.accepted_by
        )
        or (
            old.id, old.task_id, old.started_at, old.expires_at, old.initial_radius_miles,
            old.max_radius_miles, old.expansion_step_miles, old.expansion_interval_s
        ) is distinct from (
            new.id, new.task_id, new.started_at, new.expires_at, new.initial_radius_miles,
            new.max_radius_miles, new.expansion_step_miles, new.expansion_interval_s
        )
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return new;
end;
$$;

create trigger live_broadcast_guard before update on live_broadcasts
for each row execute function live_broadcast_guard();

-- LIVE-1: an escrow that leaves FUNDED ends its active broadcast in the same transaction. One that
-- was replaced has none: the broadcast that runs stands on the replacement.
create function escrow_leaving_funded_ends_broadcast() returns trigger
language plpgsql
as $$
begin
    update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock()
    where task_id = old.task_id and state = 'ACTIVE';
    return null;
end;
$$;

create trigger escrow_leaving_funded_ends_broadcast after update of state on escrows
for each row when (old.state = 'FUNDED' and new.state <> 'FUNDED' and old.is_current)
execute function escrow_leaving_funded_ends_broadcast();

-- A task that leaves MATCHING ends its active broadcast, whoever moved it.
create function task_leaving_matching_ends_broadcast() returns trigger
language plpgsql
as $$
begin
    update live_broadcasts
    set
        state = case new.state
            when 'ACCEPTED' then 'ACCEPTED'
            when 'EXPIRED' then 'EXPIRED'
            else 'CANCELLED'
        end,
        accepted_by = case new.state when 'ACCEPTED' then new.assigned_hustler_id end,
        ended_at = hx_clock()
    where task_id = new.id and state = 'ACTIVE';
    return null;
end;
$$;

create trigger task_leaving_matching_ends_broadcast after update of state on tasks
for each row when (old.state = 'MATCHING' and new.state <> 'MATCHING')
execute function task_leaving_matching_ends_broadcast();

-- Busy: a LIVE task in ACCEPTED or WORKING, or WORKING on any task (design §2, Live mode).
create function is_busy(p_hustler uuid) returns boolean
language sql stable
return exists (
    select from tasks as t
    where t.assigned_hustler_id = p_hustler
        and (t.state = 'WORKING' or (t.state = 'ACCEPTED' and t.mode = 'LIVE'))
);

-- ── Consent ────────────────────────────────────────────────────────────────────────────────────
-- Who said yes to a STANDARD task, and when; to a LIVE one the answered offer says it.
create table acceptances (
    id bigint generated always as identity,
    task_id uuid not null,
    hustler_id uuid not null,
    said_at timestamptz not null,
    constraint acceptances_pkey primary key (id),
    constraint acceptances_task foreign key (task_id) references tasks (id),
    constraint acceptances_hustler foreign key (hustler_id) references users (id)
);
create index acceptances_by_task on acceptances (task_id, hustler_id);

-- A yes is said now, whatever its writer claims.
create function acceptance_stamp() returns trigger
language plpgsql
as $$
begin
    new.said_at := hx_clock();
    return new;
end;
$$;

create trigger acceptance_stamp before insert on acceptances
for each row execute function acceptance_stamp();

-- HX801: consent is on record for good.
create trigger acceptances_append_only before update or delete or truncate on acceptances
for each statement execute function append_only('HX801', 'AUDIT-5');

-- A yes counts for the accept that it was said for: this one, or another try within seconds.
create function just_said(said_at timestamptz, at timestamptz) returns boolean
language sql immutable
return said_at between at - interval '10 seconds' and at;

-- At most this many STANDARD tasks are open in one hustler's hands (design §2, Live mode).
create function standard_tasks_max() returns integer
language sql immutable return 5;

create function open_standard_tasks(p_hustler uuid) returns bigint
language sql stable
return (
    select count(*) from tasks as t
    where t.assigned_hustler_id = p_hustler and t.mode = 'STANDARD'
        and t.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED')
);

-- What only an accept may do, judged again for every writer:
-- HX013 own task, HX016 funded escrow, HX903 ACTIVE, HX015 broadcast running, HX010 deadline ahead, HX012
-- own offer, eligible, not who gave this work back, and not for a poster whose account is shut, HX014 not
-- busy, HX010 (LIVE-7) just said yes.
create function task_accept_guard() returns trigger
language plpgsql
as $$
declare
    at timestamptz;
    running live_broadcasts;
    own live_status;
    answer offers;
begin
    if new.assigned_hustler_id is null then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if new.assigned_hustler_id = new.poster_id then
        perform hx_refuse('HX013', 'OWN-TASK');
    end if;
    if not escrow_is_funded(new.id) then
        perform hx_refuse('HX016', 'FUNDED');
    end if;
    -- the row that orders a hustler's accepts: what they hold is counted after it
    select s.* into own from live_status as s
    where s.user_id = new.assigned_hustler_id
    for no key update;
    at := hx_clock();
    if new.mode = 'LIVE' then
        if live_state(own, at) is distinct from 'ACTIVE' then
            perform hx_refuse('HX903', 'LIVE-3');
        end if;
        select b.* into running from live_broadcasts as b
        where b.task_id = new.id and b.state = 'ACTIVE' and b.expires_at > at;
        if not found then
            perform hx_refuse('HX015', 'LIVE-5');
        end if;
        select o.* into answer from offers as o
        where o.broadcast_id = running.id and o.hustler_id = new.assigned_hustler_id;
        if not found or answer.response = 'DECLINE' then
            perform hx_refuse('HX012', 'ELIGIBILITY');
        end if;
    elsif new.deadline <= at then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if not eligible(new.id, new.assigned_hustler_id)
        or new.assigned_hustler_id = any(releasers(new.id))
        or not account_is_active(new.poster_id)
    then
        perform hx_refuse('HX012', 'ELIGIBILITY');
    end if;
    if is_busy(new.assigned_hustler_id)
        or new.mode = 'STANDARD'
        and open_standard_tasks(new.assigned_hustler_id) >= standard_tasks_max()
    then
        perform hx_refuse('HX014', 'BUSY');
    end if;
    if not (
        case new.mode
            when 'LIVE' then coalesce(
                answer.response = 'ACCEPT' and just_said(answer.responded_at, at), false
            )
            else exists (
                select from acceptances as a
                where a.task_id = new.id and a.hustler_id = new.assigned_hustler_id
                    and just_said(a.said_at, at)
            )
        end
    ) then
        perform hx_refuse('HX010', 'LIVE-7');
    end if;
    return new;
end;
$$;

create trigger task_accept_guard before update of state on tasks
for each row when (old.state in ('OPEN', 'MATCHING') and new.state = 'ACCEPTED')
execute function task_accept_guard();

-- Time to accept (instant_execution_status: the success metric is a median of at most 60 s).
create view time_to_accept as
select
    b.task_id,
    b.id as broadcast_id,
    b.started_at,
    b.state,
    b.accepted_by,
    case when b.state = 'ACCEPTED' then extract(epoch from b.ended_at - b.started_at) end
        as accept_s,
    extract(epoch from f.first_sent_at - b.started_at) as first_card_s,
    extract(epoch from w.responded_at - w.sent_at) as human_s,
    f.hustlers_notified
from live_broadcasts as b
left join lateral (
    select min(o.sent_at) as first_sent_at, count(*) as hustlers_notified
    from offers as o where o.broadcast_id = b.id
) as f on true
left join offers as w on w.broadcast_id = b.id and w.hustler_id = b.accepted_by;
comment on view time_to_accept is
'One row per broadcast: seconds from funded to accepted, to the first card, and the winner''s own.';

create view time_to_accept_daily as
select
    date_trunc('day', t.started_at) as day,
    count(*) filter (where t.state <> 'ACTIVE') as broadcasts,
    count(t.accept_s) as accepted,
    percentile_cont(0.5) within group (order by t.accept_s) as median_s,
    percentile_cont(0.95) within group (order by t.accept_s) as p95_s,
    percentile_cont(0.5) within group (order by t.first_card_s) as median_first_card_s,
    percentile_cont(0.5) within group (order by t.human_s) as median_human_s,
    1 - count(t.accept_s)::double precision / nullif(count(*) filter (where t.state <> 'ACTIVE'), 0)
        as no_accept_rate
from time_to_accept as t
group by 1;
comment on view time_to_accept_daily is
'Per day (UTC): median and p95 time to accept in seconds, and the share nobody accepted.';

-- Guards of a LIVE status and its sessions.

-- ── Shifts ──────────────────────────────────────────────────────────────────────────────────────
-- HX601: a shift runs by the clock and by LIVE mode being on, whoever writes; no rest is shortened by
-- switching off and on, nor by hand.
create or replace function live_status_shift() returns trigger
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

create or replace trigger live_status_shift before update on live_status
for each row when (
    (old.session_id, old.shift_since, old.off_since)
    is distinct from (new.session_id, new.shift_since, new.off_since)
)
execute function live_status_shift();

-- ── State ───────────────────────────────────────────────────────────────────────────────────────
-- Every change of the state that time will make has its timer, whoever wrote what it follows from.
create or replace function live_status_timer() returns trigger
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

create or replace trigger live_status_timer after update on live_status
for each row when (
    (old.session_id, old.cooldown_until, old.paused_until, old.banned_until)
    is distinct from (new.session_id, new.cooldown_until, new.paused_until, new.banned_until)
)
execute function live_status_timer();

-- HX905, HX904: nobody switches LIVE on while banned, nor twice by hand within 5 minutes.
-- A return after OFFLINE or a forced end is no toggle.
create or replace function live_toggle_guard() returns trigger
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
    if last_on_at > at - live_toggle_gap() and last_on_at < at + live_toggle_gap() then
        perform hx_refuse('HX904', 'LIVE-TOGGLE', last_on_at + live_toggle_gap());
    end if;
    return new;
end;
$$;

create or replace trigger live_toggle_guard before update of session_id on live_status
for each row when (old.session_id is null and new.session_id is not null)
execute function live_toggle_guard();

-- HX905: a ban is lifted or shortened only by an admin, whose act of this transaction is on record.
-- HX601: so is a cooldown; a pause runs its time.
-- HX903: a status names its hustler's own open session.
create or replace function live_status_guard() returns trigger
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

create or replace trigger live_status_guard before update on live_status
for each row when (
    (old.user_id, old.session_id, old.banned_until, old.cooldown_until, old.paused_until)
    is distinct from
    (new.user_id, new.session_id, new.banned_until, new.cooldown_until, new.paused_until)
)
execute function live_status_guard();

-- HX801: how a session ended is history, and decides whether LIVE may be switched on again (HX904).
create or replace function live_session_guard() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse('HX801', 'AUDIT-5');
    return null;
end;
$$;

create or replace trigger live_session_guard before update on live_sessions
for each row when (
    old.ended_at is not null
    and (old.id, old.user_id, old.started_at, old.ended_at, old.end_reason, old.impossible_positions)
    is distinct from
    (new.id, new.user_id, new.started_at, new.ended_at, new.end_reason, new.impossible_positions)
)
execute function live_session_guard();

-- ── Penalties ───────────────────────────────────────────────────────────────────────────────────
-- INV-TRUST-2: every ban from LIVE mode and every pause of it, set by the rules, an admin or by hand, and
-- the end of one before its time. One that has run out leaves no second row when it is cleared.
create or replace function live_penalty_audit() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    at timestamptz := hx_clock();
    ban admin_actions := act_behind(new.user_id, '{LIVE_BAN,LIFT_LIVE_BAN}');
begin
    if new.banned_until is distinct from old.banned_until then
        if new.banned_until > at then
            perform record_penalty(new.user_id, 'LIVE_BAN', new.banned_until, ban);
        elsif old.banned_until > at then
            perform record_penalty(new.user_id, 'LIVE_BAN_LIFTED', null, ban);
        end if;
    end if;
    if new.paused_until is distinct from old.paused_until then
        -- a pause runs its time: live_status_guard lets nobody lift it
        if new.paused_until > at then
            perform record_penalty(new.user_id, 'LIVE_PAUSE', new.paused_until, null);
        end if;
    end if;
    return null;
end;
$$;

create or replace trigger live_penalty_audit after update on live_status
for each row when (
    (old.banned_until, old.paused_until) is distinct from (new.banned_until, new.paused_until)
)
execute function live_penalty_audit();

-- Guards of XP, badges and time zones.
-- XP exists only because money moved: each row of xp_ledger stands on one escrow, and its trigger
-- fills in every figure, whoever inserts it.

-- ── Streaks ─────────────────────────────────────────────────────────────────────────────────────
-- A time zone is one that the server knows by name.
create or replace function progress_time_zone() returns trigger
language plpgsql
as $$
begin
    if not exists (select from pg_timezone_names as z where z.name = new.time_zone) then
        raise exception using
            errcode = 'check_violation',
            constraint = 'progress_time_zone',
            message = 'The time zone is not known.';
    end if;
    return new;
end;
$$;

create or replace trigger progress_time_zone before insert or update of time_zone on progress
for each row when (new.time_zone <> 'UTC') execute function progress_time_zone();

-- ── XP ──────────────────────────────────────────────────────────────────────────────────────────
-- HX101 (INV-1): XP only for released money, to the hustler who did the task of that escrow.
-- Then every figure is worked out here; what the writer said about them is overwritten.
create or replace function xp_requires_released_escrow() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    earlier xp_ledger;
    e escrows;
    t tasks;
    u users;
    p progress;
    last xp_ledger;
    after streak;
begin
    select * into earlier from xp_ledger where escrow_id = new.escrow_id;
    if found then
        earlier.id := hx_id();
        return earlier;  -- whole, so that the unique constraint answers (INV-5)
    end if;
    select * into e from escrows where id = new.escrow_id;
    select * into t from tasks where id = e.task_id;
    if e.state is null or e.state not in ('RELEASED', 'REFUND_PARTIAL')
        or coalesce(e.release_amount, 0) <= 0
        or t.id is distinct from new.task_id
        or t.assigned_hustler_id is distinct from new.user_id
        or new.user_id is null
    then
        perform hx_refuse('HX101', 'INV-1');
    end if;

    -- the row that orders a user's awards; what stood before is read after it
    select * into u from users where id = new.user_id for no key update;
    select * into p from progress where user_id = new.user_id;
    select * into last from last_award(new.user_id);
    new.created_at := hx_clock();
    after := streak_after(
        row(last.user_streak_at_award, last.streak_on)::streak,
        coalesce(t.completed_at, new.created_at),
        p.time_zone,
        (select s.grace from progress_settings as s)
    );
    new.id := coalesce(new.id, hx_id());
    new.amount := e.release_amount;
    new.base_xp := e.release_amount / 100;
    new.streak_multiplier := streak_multiplier(after.days);
    new.trust_multiplier := trust_multiplier(u.trust_tier);
    new.live_multiplier := live_multiplier(t.mode);
    new.effective_xp := effective_xp(
        new.amount, new.streak_multiplier, new.trust_multiplier, new.live_multiplier
    );
    new.user_xp_before := coalesce(last.user_xp_after, 0);
    new.user_xp_after := new.user_xp_before + new.effective_xp;
    new.user_level_before := level_of(new.user_xp_before);
    new.user_level_after := level_of(new.user_xp_after);
    new.user_streak_at_award := after.days;
    new.streak_on := after.last_on;
    return new;
end;
$$;

create or replace trigger xp_requires_released_escrow before insert on xp_ledger
for each row execute function xp_requires_released_escrow();

-- The total and the streak that others read are copies of the newest row, made with it.
create or replace function xp_ledger_applies() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    last xp_ledger;
begin
    select * into last from last_award(new.user_id);
    update users set total_xp = last.user_xp_after where id = new.user_id;
    update progress
    set
        streak_days = last.user_streak_at_award,
        longest_streak_days = greatest(
            longest_streak_days, new.user_streak_at_award, last.user_streak_at_award
        ),
        last_completed_on = last.streak_on
    where user_id = new.user_id;
    return null;
end;
$$;

create or replace trigger xp_ledger_applies after insert on xp_ledger
for each row execute function xp_ledger_applies();

-- HX102: what was earned stays (product_spec §5.3).
create or replace trigger xp_ledger_no_delete before update or delete or truncate on xp_ledger
for each statement execute function append_only('HX102', 'XP-LEDGER');

-- HX102: users.total_xp is a cache and holds what the ledger says, whoever writes it
-- (architecture §3.3). The ledger only grows, so the total never falls.
create or replace function total_xp_guard() returns trigger
language plpgsql
as $$
begin
    if new.total_xp is distinct from xp_of(new.id) then
        perform hx_refuse('HX102', 'XP-LEDGER');
    end if;
    return new;
end;
$$;

create or replace trigger total_xp_guard_insert before insert on users
for each row when (new.total_xp <> 0) execute function total_xp_guard();
create or replace trigger total_xp_guard_update before update of total_xp on users
for each row when (old.total_xp is distinct from new.total_xp) execute function total_xp_guard();

-- ── Badges ──────────────────────────────────────────────────────────────────────────────────────
-- HX401: a badge is granted when its criterion holds, or by an admin whose act is on record. HX503: not
-- by its own owner.
create or replace function badge_grant_guard() returns trigger
language plpgsql
as $$
begin
    if new.animation_shown_at is not null or new.revoked_at is not null then
        perform hx_refuse('HX401', 'BADGE');
    end if;
    perform refuse_own_case(new.granted_by, new.user_id::text);
    if new.granted_by is null then
        if not exists (
            select from badges_earned(new.user_id) as b where b.badge_type = new.badge_type
        ) then
            perform hx_refuse('HX401', 'BADGE');
        end if;
    elsif not exists (
        select from admin_actions as a
        where a.admin_id = new.granted_by and a.action_type = 'GRANT_BADGE'
            and a.target_id = new.user_id::text
            and a.metadata ->> 'badge_type' = new.badge_type
    ) then
        perform hx_refuse('HX401', 'BADGE');
    end if;
    new.granted_at := hx_clock();
    return new;
end;
$$;

create or replace trigger badge_grant_guard before insert on badges
for each row execute function badge_grant_guard();

-- HX401: of a granted badge only two things are written, once each: that the animation was shown,
-- and that an admin, whose act is on record, revoked it; HX503: nobody revokes their own.
create or replace function badge_guard() returns trigger
language plpgsql
as $$
declare
    expected badges := old;
begin
    if old.animation_shown_at is null then
        expected.animation_shown_at := new.animation_shown_at;
    end if;
    if new.revoked_by is distinct from old.revoked_by then
        perform refuse_own_case(new.revoked_by, old.id::text);
    end if;
    if old.revoked_at is null and exists (
        select from admin_actions as a
        where a.admin_id = new.revoked_by and a.action_type = 'REVOKE_BADGE'
            and a.target_id = old.id::text
    ) then
        expected.revoked_at := new.revoked_at;
        expected.revoked_by := new.revoked_by;
    end if;
    if new is distinct from expected then
        perform hx_refuse('HX401', 'BADGE');
    end if;
    return new;
end;
$$;

create or replace trigger badge_guard before update on badges
for each row execute function badge_guard();

-- HX401: badges are permanent (architecture §5.2).
create or replace trigger badge_no_delete before delete or truncate on badges
for each statement execute function append_only('HX401', 'BADGE');

-- ── Flags ───────────────────────────────────────────────────────────────────────────────────────
-- HX503: a mark is an admin's, on an award that is not their own.
create or replace function xp_flag_guard() returns trigger
language plpgsql
as $$
begin
    perform admin_may_decide(new.flagged_by, new.ledger_id::text);
    return new;
end;
$$;

create or replace trigger xp_flag_guard before insert on xp_flags
for each row execute function xp_flag_guard();

-- HX801: a mark stays, too.
create or replace trigger xp_flags_append_only before update or delete or truncate on xp_flags
for each statement execute function append_only('HX801', 'AUDIT-5');

-- XP, levels, streaks and badges.
--
-- XP exists only because money moved: each row of xp_ledger stands on one escrow, and its trigger
-- fills in every figure, whoever inserts it. Formulas and definitions: docs/progress.md.

-- ── Levels ─────────────────────────────────────────────────────────────────────────────────────
-- product_spec §5.4, the table; twin of tests/oracles/xp.py.
create table levels (
    level smallint not null,
    xp_required integer not null,
    title text not null,
    constraint levels_pkey primary key (level),
    constraint levels_xp unique (xp_required)
);

insert into levels (level, xp_required, title) values
(1, 0, 'Rookie'),
(2, 100, 'Beginner'),
(3, 300, 'Apprentice'),
(4, 600, 'Journeyman'),
(5, 1000, 'Skilled'),
(6, 1500, 'Expert'),
(7, 2100, 'Master'),
(8, 2800, 'Grandmaster'),
(9, 3600, 'Legend'),
(10, 4500, 'Mythic');

create function level_of(p_xp integer) returns smallint
language sql stable
return (select max(l.level) from levels as l where l.xp_required <= greatest(p_xp, 0));

-- ── Streaks ────────────────────────────────────────────────────────────────────────────────────
-- Only the owner sets the grace.
create table progress_settings (
    singleton boolean not null default true,
    grace interval not null default interval '24 hours',
    constraint progress_settings_pkey primary key (singleton),
    constraint progress_settings_one_row check (singleton),
    constraint progress_settings_grace check (grace >= interval '0')
);
insert into progress_settings default values;

-- One row per user, made with the user. The streak is a copy of xp_ledger's newest row, as of
-- last_completed_on; whether it is alive at an instant is streak_now()'s answer.
create table progress (
    user_id uuid not null,
    time_zone text not null default 'UTC',
    streak_days integer not null default 0,
    longest_streak_days integer not null default 0,
    -- a day of the user's time zone at that time; it never goes back
    last_completed_on date,
    constraint progress_pkey primary key (user_id),
    constraint progress_user foreign key (user_id) references users (id),
    constraint progress_streak check (
        streak_days between 0 and longest_streak_days
        and (streak_days = 0) = (last_completed_on is null)
    )
);

-- A time zone is one that the server knows by name.
create function progress_time_zone() returns trigger
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

create trigger progress_time_zone before insert or update of time_zone on progress
for each row when (new.time_zone <> 'UTC') execute function progress_time_zone();

-- The last instant at which a completion keeps the streak: the end of the day after the last one, plus
-- the grace (product_spec §5.5). Days are the user's, so one may have 23 or 25 hours.
create function streak_ends_at(
    p_last_on date, p_time_zone text, p_grace interval
) returns timestamptz
language sql stable
return ((p_last_on + 2)::timestamp at time zone p_time_zone) + p_grace;

create type streak as (days integer, last_on date);

-- The streak after a completion; twin of tests/oracles/streaks.py. The next day raises it; within the
-- grace it is kept, not raised. A completion on a day before the last one, which was booked late or seen
-- from another time zone, changes nothing.
create function streak_after(
    p_before streak, p_completed_at timestamptz, p_time_zone text, p_grace interval
) returns streak
language sql stable
return case
    when p_before.last_on is null
        then row(1, (p_completed_at at time zone p_time_zone)::date)::streak
    when (p_completed_at at time zone p_time_zone)::date <= p_before.last_on then p_before
    when (p_completed_at at time zone p_time_zone)::date = p_before.last_on + 1
        then row(p_before.days + 1, p_before.last_on + 1)::streak
    when p_completed_at <= streak_ends_at(p_before.last_on, p_time_zone, p_grace)
        then row(p_before.days, (p_completed_at at time zone p_time_zone)::date)::streak
    else row(1, (p_completed_at at time zone p_time_zone)::date)::streak
end;

-- When the streak a user has now will be lost; null where there is none.
create function streak_until(p_user uuid, at timestamptz) returns timestamptz
language sql stable
return (
    select ends.at
    from progress as p
    cross join progress_settings as s
    cross join lateral (select streak_ends_at(p.last_completed_on, p.time_zone, s.grace) as at) as ends
    where p.user_id = p_user and ends.at >= streak_until.at
);

-- The streak that may be shown: 0 once it is lost.
create function streak_now(p_user uuid, at timestamptz) returns integer
language sql stable
return case
    when streak_until(p_user, at) is null then 0
    else (select p.streak_days from progress as p where p.user_id = p_user)
end;

-- ── XP ─────────────────────────────────────────────────────────────────────────────────────────
-- 1 + 0.05 a day, at most 2.0 (product_spec §5.2). The three multipliers are twins of
-- tests/oracles/xp.py; numeric throughout, for a float would lose a point at some borders.
create function streak_multiplier(p_days integer) returns numeric
language sql immutable
return least(1 + 0.05 * p_days, 2.00);

-- ROOKIE 1.0, VERIFIED 1.5, TRUSTED and ELITE 2.0 (design §2, Progress and rules).
create function trust_multiplier(p_tier smallint) returns numeric
language sql immutable
return case p_tier when 1 then 1.0 when 2 then 1.5 else 2.0 end;

create function live_multiplier(p_mode text) returns numeric
language sql immutable
return case p_mode when 'LIVE' then 1.25 else 1.00 end;

-- floor(cents / 100 × streak × trust × live)
create function effective_xp(
    p_released integer, p_streak numeric, p_trust numeric, p_live numeric
) returns integer
language sql immutable
return floor(p_released * p_streak * p_trust * p_live * 0.01)::integer;

create table xp_ledger (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    task_id uuid not null,
    escrow_id uuid not null,
    -- cents that were released: what the XP stands on
    amount integer not null,
    base_xp integer not null,
    streak_multiplier numeric(3, 2) not null,
    trust_multiplier numeric(2, 1) not null,
    live_multiplier numeric(3, 2) not null,
    effective_xp integer not null,
    user_xp_before integer not null,
    user_xp_after integer not null,
    user_level_before smallint not null,
    user_level_after smallint not null,
    user_streak_at_award integer not null,
    -- the last day that counts in that streak
    streak_on date not null,
    created_at timestamptz not null,
    constraint xp_ledger_pkey primary key (id),
    constraint xp_ledger_user foreign key (user_id) references users (id),
    constraint xp_ledger_task foreign key (task_id) references tasks (id),
    constraint xp_ledger_escrow foreign key (escrow_id) references escrows (id),
    -- INV-5: at most one row per escrow (23505)
    constraint xp_ledger_once_per_escrow unique (escrow_id),
    constraint xp_ledger_sum check (user_xp_after = user_xp_before + effective_xp),
    constraint xp_ledger_earned check (amount > 0 and base_xp >= 0 and effective_xp >= base_xp)
);
-- A user's newest row, which says the total and the streak: one look into this index.
create index xp_ledger_by_user on xp_ledger (user_id, user_xp_after desc, created_at desc);

create function last_award(p_user uuid) returns setof xp_ledger
language sql stable
begin atomic
    select x.* from xp_ledger as x
    where x.user_id = p_user
    order by x.user_xp_after desc, x.created_at desc
    limit 1;
end;

create function xp_of(p_user uuid) returns integer
language sql stable
return coalesce((select x.user_xp_after from last_award(p_user) as x), 0);

-- HX101 (INV-1): XP only for released money, to the hustler who did the task of that escrow.
-- Then every figure is worked out here; what the writer said about them is overwritten.
create function xp_requires_released_escrow() returns trigger
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
        earlier.id := gen_random_uuid();
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
    new.id := coalesce(new.id, gen_random_uuid());
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

create trigger xp_requires_released_escrow before insert on xp_ledger
for each row execute function xp_requires_released_escrow();

-- The total and the streak that others read are copies of the newest row, made with it.
create function xp_ledger_applies() returns trigger
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

create trigger xp_ledger_applies after insert on xp_ledger
for each row execute function xp_ledger_applies();

-- HX102: what was earned stays (product_spec §5.3).
create trigger xp_ledger_no_delete before update or delete or truncate on xp_ledger
for each statement execute function append_only('HX102', 'XP-LEDGER');

-- HX102: users.total_xp is a cache and holds what the ledger says, whoever writes it
-- (architecture §3.3). The ledger only grows, so the total never falls.
create function total_xp_guard() returns trigger
language plpgsql
as $$
begin
    if new.total_xp is distinct from xp_of(new.id) then
        perform hx_refuse('HX102', 'XP-LEDGER');
    end if;
    return new;
end;
$$;

create trigger total_xp_guard_insert before insert on users
for each row when (new.total_xp <> 0) execute function total_xp_guard();
create trigger total_xp_guard_update before update of total_xp on users
for each row when (old.total_xp is distinct from new.total_xp) execute function total_xp_guard();

-- ── Badges ─────────────────────────────────────────────────────────────────────────────────────
-- A badge is earned when its measure has reached at_least; see measures_of().
create table badge_types (
    badge_type text not null,
    title text not null,
    measure text not null,
    at_least integer not null,
    constraint badge_types_pkey primary key (badge_type),
    constraint badge_types_measure check (
        measure in ('TASKS', 'LIVE_TASKS', 'STREAK_DAYS', 'LEVEL', 'TRUST_TIER')
    )
);

insert into badge_types (badge_type, title, measure, at_least) values
('FIRST_TASK', 'First task', 'TASKS', 1),
('FIRST_LIVE_TASK', 'First LIVE task', 'LIVE_TASKS', 1),
('TASKS_10', '10 tasks', 'TASKS', 10),
('TASKS_50', '50 tasks', 'TASKS', 50),
('TASKS_100', '100 tasks', 'TASKS', 100),
('STREAK_7', '7 days in a row', 'STREAK_DAYS', 7),
('STREAK_30', '30 days in a row', 'STREAK_DAYS', 30),
('LEVEL_5', 'Level 5: Skilled', 'LEVEL', 5),
('LEVEL_10', 'Level 10: Mythic', 'LEVEL', 10),
('TRUSTED', 'Trusted', 'TRUST_TIER', 3),
('ELITE', 'Elite', 'TRUST_TIER', 4);

create table badges (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    badge_type text not null,
    granted_at timestamptz not null,
    -- the admin who granted it; null where it was earned
    granted_by uuid,
    -- when its owner saw the unlock animation: once, on one device (architecture §5.4)
    animation_shown_at timestamptz,
    -- granted in error: hidden, never deleted (architecture §5.2)
    revoked_at timestamptz,
    revoked_by uuid,
    constraint badges_pkey primary key (id),
    constraint badges_user foreign key (user_id) references users (id),
    constraint badges_type foreign key (badge_type) references badge_types (badge_type),
    constraint badges_granted_by foreign key (granted_by) references users (id),
    constraint badges_revoked_by foreign key (revoked_by) references users (id),
    constraint badges_once unique (user_id, badge_type),
    constraint badges_revoked check ((revoked_at is null) = (revoked_by is null))
);

-- What a user has reached, by the measures of badge_types. TASKS are those that were paid.
create function measures_of(p_user uuid) returns table (measure text, reached integer)
language sql stable
begin atomic
    with paid as (
        select count(*) as tasks, count(*) filter (where x.live_multiplier > 1) as live_tasks
        from xp_ledger as x where x.user_id = p_user
    )

    select m.measure, m.reached
    from users as u
    inner join progress as p on p.user_id = u.id
    cross join paid
    cross join lateral (
        values
        ('TASKS', paid.tasks::integer),
        ('LIVE_TASKS', paid.live_tasks::integer),
        ('STREAK_DAYS', p.longest_streak_days),
        ('LEVEL', level_of(u.total_xp)::integer),
        ('TRUST_TIER', u.trust_tier::integer)
    ) as m (measure, reached)
    where u.id = p_user;
end;

-- The types whose criterion a user meets.
create function badges_earned(p_user uuid) returns setof badge_types
language sql stable
begin atomic
    select b.*
    from badge_types as b
    inner join measures_of(p_user) as m on m.measure = b.measure
    where m.reached >= b.at_least;
end;

-- HX401: a badge is granted when its criterion holds, or by an admin whose act is on record. HX503: not
-- by its own owner.
create function badge_grant_guard() returns trigger
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

create trigger badge_grant_guard before insert on badges
for each row execute function badge_grant_guard();

-- HX401: of a granted badge only two things are written, once each: that the animation was shown,
-- and that an admin, whose act is on record, revoked it; HX503: nobody revokes their own.
create function badge_guard() returns trigger
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

create trigger badge_guard before update on badges
for each row execute function badge_guard();

-- HX401: badges are permanent (architecture §5.2).
create trigger badge_no_delete before delete or truncate on badges
for each statement execute function append_only('HX401', 'BADGE');

-- Grants what a user has earned and does not have yet; the events that tell it.
create function grant_badges(p_user uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    told jsonb;
begin
    with granted as (
        insert into badges (user_id, badge_type)
        select p_user, b.badge_type
        from badges_earned(p_user) as b
        where not exists (
            select from badges as own where own.user_id = p_user and own.badge_type = b.badge_type
        )
        on conflict on constraint badges_once do nothing
        returning id, badge_type
    )

    select coalesce(jsonb_agg(badge_event(p_user, g.id, b) order by b.measure, b.at_least), '[]')
    into told
    from granted as g
    inner join badge_types as b on b.badge_type = g.badge_type;
    return told;
end;
$$;

create function badge_event(p_user uuid, p_badge uuid, b badge_types) returns jsonb
language sql immutable
return hx_event(p_user, 'BADGE_UNLOCKED', jsonb_build_object(
    'badge_id', p_badge, 'badge_type', b.badge_type, 'title', b.title
));

create function badge_view(b badges) returns jsonb
language sql stable
return jsonb_build_object(
    'id', b.id,
    'badge_type', b.badge_type,
    'title', (select t.title from badge_types as t where t.badge_type = b.badge_type),
    'granted_at', b.granted_at,
    'animation_shown_at', b.animation_shown_at
);

-- ── What the commands call ─────────────────────────────────────────────────────────────────────
-- Called in the transaction in which an escrow became RELEASED or REFUND_PARTIAL; the events to
-- append. Once per escrow: a second call changes nothing and answers []. HX101 before the release.
create function award_xp(p_escrow uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    x xp_ledger;
    l levels;
begin
    insert into xp_ledger (user_id, task_id, escrow_id)
    select t.assigned_hustler_id, t.id, e.id
    from escrows as e inner join tasks as t on t.id = e.task_id
    where e.id = p_escrow
    on conflict on constraint xp_ledger_once_per_escrow do nothing
    returning * into x;
    if x.id is null then
        return '[]';
    end if;
    select * into l from levels where level = x.user_level_after;
    return jsonb_build_array(hx_event(x.user_id, 'XP_AWARDED', jsonb_build_object(
        'task_id', x.task_id,
        'xp', x.effective_xp,
        'total_xp', x.user_xp_after,
        'level', l.level,
        'level_title', l.title,
        'streak_days', x.user_streak_at_award
    ))) || check_promotion(x.user_id) || grant_badges(x.user_id);
end;
$$;

-- That the unlock animation was shown, told by the first device that played it; later ones learn
-- when that was. NOT_FOUND for a badge of somebody else, or a revoked one.
create function show_badge(p_user uuid, p_badge uuid) returns jsonb
language plpgsql
as $$
declare
    b badges;
begin
    select * into b from badges
    where id = p_badge and user_id = p_user and revoked_at is null
    for no key update;
    if not found then
        perform hx_not_found();
    end if;
    if b.animation_shown_at is null then
        update badges set animation_shown_at = hx_clock() where id = p_badge;
    end if;
    return jsonb_build_object('subject_id', p_badge);
end;
$$;

create function set_time_zone(p_user uuid, p_time_zone text) returns jsonb
language plpgsql
as $$
begin
    update progress set time_zone = p_time_zone where user_id = p_user and time_zone <> p_time_zone;
    return jsonb_build_object('subject_id', p_user);
end;
$$;

-- ── What an admin may do; each leaves a row in admin_actions ───────────────────────────────────
create function grant_badge(p_admin uuid, p_user uuid, p_badge_type text, p_reason text)
returns jsonb
language plpgsql
as $$
declare
    made uuid;
    b badge_types;
begin
    perform admin_may_decide(p_admin, p_user::text);
    select * into b from badge_types where badge_type = p_badge_type;
    if not found or not exists (select from users as u where u.id = p_user) then
        perform hx_not_found();
    end if;
    perform admin_act(
        p_admin, 'GRANT_BADGE', 'user', p_user::text, p_reason,
        jsonb_build_object('badge_type', p_badge_type)
    );
    insert into badges (user_id, badge_type, granted_by) values (p_user, p_badge_type, p_admin)
    on conflict on constraint badges_once do nothing
    returning id into made;
    return jsonb_build_object('subject_id', made, 'events', case when made is null then '[]' else
        append_events(jsonb_build_array(badge_event(p_user, made, b)))
    end);
end;
$$;

create function revoke_badge(p_admin uuid, p_badge uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    b badges;
begin
    perform admin_may_decide(p_admin, p_badge::text);
    select * into b from badges where id = p_badge for no key update;
    if not found then
        perform hx_not_found();
    end if;
    if b.revoked_at is null then
        perform admin_act(
            p_admin, 'REVOKE_BADGE', 'badge', p_badge::text, p_reason,
            jsonb_build_object('user_id', b.user_id, 'badge_type', b.badge_type)
        );
        update badges set revoked_at = hx_clock(), revoked_by = p_admin where id = p_badge;
    end if;
    return jsonb_build_object('subject_id', p_badge);
end;
$$;

-- ── Grants ─────────────────────────────────────────────────────────────────────────────────────
-- Update and delete are granted so that the ledger's own refusal answers, not 42501.
grant insert, update, delete on xp_ledger, badges to hx_app;
grant update (time_zone) on progress to hx_app;

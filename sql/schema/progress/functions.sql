-- XP, levels, streaks and badges, derived. Formulas and definitions: docs/progress.md.

-- ── Levels ──────────────────────────────────────────────────────────────────────────────────────
create or replace function level_of(p_xp integer) returns smallint
language sql stable
return (select max(l.level) from levels as l where l.xp_required <= greatest(p_xp, 0));

-- ── Streaks ─────────────────────────────────────────────────────────────────────────────────────
-- The last instant at which a completion keeps the streak: the end of the day after the last one, plus
-- the grace (product_spec §5.5). Days are the user's, so one may have 23 or 25 hours.
create or replace function streak_ends_at(
    p_last_on date, p_time_zone text, p_grace interval
) returns timestamptz
language sql stable
return ((p_last_on + 2)::timestamp at time zone p_time_zone) + p_grace;

-- The streak after a completion; twin of tests/oracles/streaks.py. The next day raises it; within the
-- grace it is kept, not raised. A completion on a day before the last one, which was booked late or seen
-- from another time zone, changes nothing.
create or replace function streak_after(
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
create or replace function streak_until(p_user uuid, at timestamptz) returns timestamptz
language sql stable
return (
    select ends.at
    from progress as p
    cross join progress_settings as s
    cross join lateral (select streak_ends_at(p.last_completed_on, p.time_zone, s.grace) as at) as ends
    where p.user_id = p_user and ends.at >= streak_until.at
);

-- The streak that may be shown: 0 once it is lost.
create or replace function streak_now(p_user uuid, at timestamptz) returns integer
language sql stable
return case
    when streak_until(p_user, at) is null then 0
    else (select p.streak_days from progress as p where p.user_id = p_user)
end;

-- ── XP ──────────────────────────────────────────────────────────────────────────────────────────
-- A step more for each day, up to a largest (product_spec §5.2). The three multipliers are twins of
-- tests/oracles/xp.py; numeric throughout, for a float would lose a point at some borders.
create or replace function streak_multiplier(p_days integer) returns numeric
language sql immutable
return least(1 + streak_xp_step() * p_days, streak_xp_max());

-- TRUSTED and ELITE have the same (design §2, Progress and rules).
create or replace function trust_multiplier(p_tier smallint) returns numeric
language sql immutable
return case p_tier
    when 1 then rookie_xp_multiplier() when 2 then verified_xp_multiplier() else trusted_xp_multiplier()
end;

create or replace function live_multiplier(p_mode text) returns numeric
language sql immutable
return case p_mode when 'LIVE' then live_xp_multiplier() else standard_xp_multiplier() end;

-- floor(cents / 100 × streak × trust × live)
create or replace function effective_xp(
    p_released integer, p_streak numeric, p_trust numeric, p_live numeric
) returns integer
language sql immutable
return floor(p_released * p_streak * p_trust * p_live * 0.01)::integer;

create or replace function last_award(p_user uuid) returns setof xp_ledger
language sql stable
begin atomic
    select x.* from xp_ledger as x
    where x.user_id = p_user
    order by x.user_xp_after desc, x.created_at desc
    limit 1;
end;

create or replace function xp_of(p_user uuid) returns integer
language sql stable
return coalesce((select x.user_xp_after from last_award(p_user) as x), 0);

-- ── Badges ──────────────────────────────────────────────────────────────────────────────────────
-- What a user has reached, by the measures of badge_types. TASKS are those that were paid.
create or replace function measures_of(p_user uuid) returns table (measure text, reached integer)
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
create or replace function badges_earned(p_user uuid) returns setof badge_types
language sql stable
begin atomic
    select b.*
    from badge_types as b
    inner join measures_of(p_user) as m on m.measure = b.measure
    where m.reached >= b.at_least;
end;

create or replace function badge_event(p_user uuid, p_badge uuid, b badge_types) returns jsonb
language sql immutable
return hx_event(p_user, 'BADGE_UNLOCKED', jsonb_build_object(
    'badge_id', p_badge, 'badge_type', b.badge_type, 'title', b.title
));

-- XP awarded, badges granted and shown, days counted in a time zone.

-- Grants what a user has earned and does not have yet; the events that tell it.
create or replace function grant_badges(p_user uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    events jsonb;
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
    into events
    from granted as g
    inner join badge_types as b on b.badge_type = g.badge_type;
    return events;
end;
$$;
-- Called in the transaction in which an escrow became RELEASED or REFUND_PARTIAL; the events to
-- append. Once per escrow: a second call changes nothing and answers []. HX101 before the release.
create or replace function award_xp(p_escrow uuid) returns jsonb
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
create or replace function show_badge(p_user uuid, p_badge uuid) returns jsonb
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

create or replace function set_time_zone(p_user uuid, p_time_zone text) returns jsonb
language plpgsql
as $$
begin
    update progress set time_zone = p_time_zone where user_id = p_user and time_zone <> p_time_zone;
    return jsonb_build_object('subject_id', p_user);
end;
$$;
create or replace function grant_badge(p_admin uuid, p_user uuid, p_badge_type text, p_reason text)
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

create or replace function revoke_badge(p_admin uuid, p_badge uuid, p_reason text) returns jsonb
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

create or replace function flag_xp(p_admin uuid, p_ledger uuid, p_reason text) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    acted uuid := admin_act(p_admin, 'FLAG_XP', 'xp_ledger', p_ledger::text, p_reason);
    x xp_ledger;
begin
    select * into x from xp_ledger where id = p_ledger;
    if not found then
        perform hx_not_found();
    end if;
    insert into xp_flags (ledger_id, flagged_by, reason) values (p_ledger, p_admin, p_reason)
    on conflict on constraint xp_flags_pkey do nothing;
    return jsonb_build_object('task_id', x.task_id, 'subject_id', p_ledger);
end;
$$;

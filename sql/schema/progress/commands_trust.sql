-- Trust: points, tiers and the record of work, changed by rule or by an admin's hand.

-- ── The record of work ──────────────────────────────────────────────────────────────────────────
-- What matching knows of a hustler follows the record; the version tells that it changed.
create or replace function refresh_profile(p_user uuid) returns void
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    c work_counts := work_counts_of(p_user);
    done jsonb;
begin
    select coalesce(jsonb_object_agg(w.category, w.tasks), '{}') into done
    from (
        select r.category, count(*) as tasks from work_record as r
        where r.hustler_id = p_user and r.ending = 'COMPLETED'
        group by r.category
    ) as w;
    update hustler_profiles as p
    set
        completion_rate = completion_rate(c),
        approval_rate = approval_rate(c),
        category_counts = done,
        version = p.version + 1
    where p.user_id = p_user
        and (p.completion_rate, p.approval_rate, p.category_counts)
        is distinct from
        (completion_rate(c)::double precision, approval_rate(c)::double precision, done);
end;
$$;

-- ── Penalties ───────────────────────────────────────────────────────────────────────────────────
-- A row that changes neither tier nor points: what was done to an account, until when, and by whom.
create or replace function record_penalty(p_user uuid, p_reason text, p_until timestamptz, a admin_actions)
returns void
language sql
begin atomic
    insert into trust_ledger (user_id, old_tier, new_tier, reason, until, evidence_id, actor_id)
    select u.id, u.trust_tier, u.trust_tier, p_reason, p_until, (a).id, (a).admin_id
    from users as u where u.id = p_user;
end;

-- ── Changing a tier ─────────────────────────────────────────────────────────────────────────────
-- Why the tier changes: read by guard and audit, gone with the change.
create or replace function trust_act(p_reason text, p_task uuid, p_evidence uuid, p_actor uuid) returns void
language plpgsql
as $$
begin
    perform set_config('hx.trust_reason', coalesce(p_reason, ''), true);
    perform set_config('hx.trust_task', coalesce(p_task::text, ''), true);
    perform set_config('hx.trust_evidence', coalesce(p_evidence::text, ''), true);
    perform set_config('hx.trust_actor', coalesce(p_actor::text, ''), true);
end;
$$;

-- The one way to another tier; the caller holds the user's row. Answers the event that tells it.
create or replace function change_tier(
    p_user uuid,
    p_tier integer,
    p_reason text,
    p_task uuid default null,
    p_evidence uuid default null,
    p_actor uuid default null
) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    perform trust_act(p_reason, p_task, p_evidence, p_actor);
    update users set trust_tier = p_tier where id = p_user;
    perform trust_act(null, null, null, null);
    return jsonb_build_array(hx_event(p_user, 'TRUST_TIER_CHANGED', jsonb_build_object(
        'tier', p_tier,
        'name', (select t.name from trust_tiers as t where t.tier = p_tier),
        'reason', p_reason
    )));
end;
$$;

create or replace function check_promotion(p_user uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    held smallint;
    earned smallint;
begin
    select trust_tier into held from users where id = p_user for no key update;
    earned := tier_earned(p_user);
    if earned <= held or promotion_barred(p_user, hx_clock()) then
        return '[]';
    end if;
    return change_tier(p_user, earned, 'PROMOTION');
end;
$$;

-- One tier down, and never below ROOKIE, where the ledger alone tells of the penalty.
create or replace function check_penalty(p_user uuid, p_task uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    held smallint;
begin
    select trust_tier into held from users where id = p_user for no key update;
    if not penalty_due(p_user, hx_clock()) then
        return '[]';
    end if;
    if held > 1 then
        return change_tier(p_user, held - 1, 'PENALTY', p_task);
    end if;
    insert into trust_ledger (user_id, old_tier, new_tier, reason, task_id)
    values (p_user, held, held, 'PENALTY', p_task);
    return '[]';
end;
$$;

-- Called when the timer TRUST_REVIEW of a user is due; the events to append. Sets the next one.
create or replace function fire_trust_review(p_user uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    held smallint;
    due timestamptz;
    events jsonb := '[]';
begin
    select trust_tier into held from users where id = p_user for no key update;
    due := trust_decays_at(p_user);
    if held > 1 and due <= hx_clock() then
        events := change_tier(p_user, held - 1, 'DECAY');
        held := held - 1;
        due := trust_decays_at(p_user);
    end if;
    if held > 1 then
        perform hx_timer('TRUST_REVIEW', p_user, due);
    end if;
    return events;
end;
$$;

-- An admin sets a tier, with a reason that stays on record.
create or replace function set_trust_tier(p_admin uuid, p_user uuid, p_tier integer, p_reason text)
returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    held smallint;
begin
    perform admin_may_decide(p_admin, p_user::text);
    perform hx_timer('TRUST_REVIEW', p_user, hx_clock() + trust_decay_after());
    select trust_tier into held from users where id = p_user for no key update;
    if not found then
        perform hx_not_found();
    end if;
    perform admin_act(
        p_admin, 'SET_TRUST_TIER', 'user', p_user::text, p_reason,
        jsonb_build_object('tier', p_tier, 'old_tier', held)
    );
    if held = p_tier then
        return jsonb_build_object('subject_id', p_user);
    end if;
    return jsonb_build_object('subject_id', p_user, 'events', append_events(
        change_tier(p_user, p_tier, 'ADMIN_OVERRIDE', p_actor => p_admin) || grant_badges(p_user)
    ));
end;
$$;

-- ── What the commands call ──────────────────────────────────────────────────────────────────────
create or replace function add_trust_points(t tasks, p_reason text) returns boolean
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    insert into trust_ledger (user_id, old_tier, new_tier, reason, points, task_id)
    select u.id, u.trust_tier, u.trust_tier, p_reason, trust_points_for(p_reason, t.mode), t.id
    from users as u where u.id = t.assigned_hustler_id
    on conflict on constraint trust_ledger_once_per_task do nothing;
    return found;
end;
$$;

-- A completed task whose money has moved.
create or replace function record_completed(p_task uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    t tasks;
    events jsonb := '[]';
begin
    select * into t from tasks where id = p_task;
    if t.state is distinct from 'COMPLETED' or not is_paid(p_task) then
        return '[]';
    end if;
    perform hx_timer('TRUST_REVIEW', t.assigned_hustler_id, t.completed_at + trust_decay_after());
    perform from live_status where user_id = t.assigned_hustler_id for no key update;
    perform from users where id = t.assigned_hustler_id for no key update;
    if not add_trust_points(t, 'COMPLETION') then
        return '[]';
    end if;
    -- from the start code to the accepted proof: how long the poster took to look is not counted
    if exists (
        select from proofs as p
        where p.task_id = t.id and p.state = 'ACCEPTED' and p.kind <> 'DECISION'
            and p.submitted_at < t.started_at + quick_completion_within()
    ) then
        perform add_trust_points(t, 'QUICK_COMPLETION');
    end if;
    perform refresh_profile(t.assigned_hustler_id);
    if t.mode = 'LIVE' then
        events := check_live_record(t.assigned_hustler_id, 'COMPLETED', hx_clock());
    end if;
    return events || check_promotion(t.assigned_hustler_id) || grant_badges(t.assigned_hustler_id);
end;
$$;

-- All that a paid task leaves with its hustler: XP by the tier from before, then points, record and tier.
create or replace function book_progress(p_escrow uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    t tasks;
begin
    select tasks.* into t
    from tasks inner join escrows on escrows.task_id = tasks.id
    where escrows.id = p_escrow;
    perform hx_timer('TRUST_REVIEW', t.assigned_hustler_id, t.completed_at + trust_decay_after());
    perform from live_status where user_id = t.assigned_hustler_id for no key update;
    return award_xp(p_escrow) || record_completed(t.id);
end;
$$;

-- A dispute ended for the poster.
create or replace function record_lost(p_task uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    w work_record;
    events jsonb := '[]';
begin
    select * into w from work_record where task_id = p_task and ending = 'LOST';
    if not found then
        return '[]';
    end if;
    perform from live_status where user_id = w.hustler_id for no key update;
    perform from users where id = w.hustler_id for no key update;
    perform refresh_profile(w.hustler_id);
    if w.mode = 'LIVE' then
        events := check_live_record(w.hustler_id, 'LOST', w.at);
    end if;
    return events || check_penalty(w.hustler_id, p_task);
end;
$$;

-- The hustler gave the task back (RELEASED; QUICK within 60 s) or did not come (NO_SHOW).
create or replace function record_given_up(p_task uuid, p_kind text, p_at timestamptz) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    t tasks;
    events jsonb := '[]';
begin
    select * into t from tasks where id = p_task;
    if t.assigned_hustler_id is null or t.state not in ('ACCEPTED', 'CANCELLED') then
        return '[]';
    end if;
    perform from live_status where user_id = t.assigned_hustler_id for no key update;
    perform from users where id = t.assigned_hustler_id for no key update;
    insert into abandonments (task_id, hustler_id, kind, mode, at)
    values (t.id, t.assigned_hustler_id, p_kind, t.mode, p_at)
    on conflict on constraint abandonments_pkey do nothing;
    if not found then
        return '[]';
    end if;
    if t.mode = 'LIVE' then
        events := check_live_record(t.assigned_hustler_id, p_kind, p_at);
    end if;
    if p_kind = 'QUICK' then
        return events;
    end if;
    perform add_trust_points(t, 'ABANDONMENT');
    perform refresh_profile(t.assigned_hustler_id);
    return events || check_penalty(t.assigned_hustler_id, t.id);
end;
$$;

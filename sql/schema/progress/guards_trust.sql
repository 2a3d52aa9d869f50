-- Guards of tiers and trust points, and the penalties noted by triggers.

-- ── Ledger ──────────────────────────────────────────────────────────────────────────────────────
-- HX801: the trust ledger only grows.
create or replace trigger trust_ledger_append_only before update or delete or truncate on trust_ledger
for each statement execute function append_only('HX801', 'TRUST-LEDGER');

-- HX101 (INV-1): a completion counts once its money was released, for who did the task. HX503: nobody's
-- trust is changed by themselves.
create or replace function trust_ledger_guard() returns trigger
language plpgsql
as $$
begin
    if new.reason in ('COMPLETION', 'QUICK_COMPLETION') and not exists (
        select from tasks as t
        where t.id = new.task_id and t.assigned_hustler_id = new.user_id and is_paid(t.id)
    ) then
        perform hx_refuse('HX101', 'INV-1');
    end if;
    if new.actor_id = new.user_id then
        perform hx_refuse('HX503', 'OWN-CASE');
    end if;
    return new;
end;
$$;

create or replace trigger trust_ledger_guard before insert on trust_ledger
for each row execute function trust_ledger_guard();

-- users.trust_points follows the ledger.
create or replace function trust_ledger_applies() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    update users set trust_points = trust_points_of(new.user_id) where id = new.user_id;
    return null;
end;
$$;

create or replace trigger trust_ledger_applies after insert on trust_ledger
for each row when (new.points <> 0) execute function trust_ledger_applies();

-- HX801: users.trust_points holds what the ledger says, whoever writes it.
create or replace function trust_points_guard() returns trigger
language plpgsql
as $$
begin
    if new.trust_points is distinct from trust_points_of(new.id) then
        perform hx_refuse('HX801', 'TRUST-LEDGER');
    end if;
    return new;
end;
$$;

create or replace trigger trust_points_guard_insert before insert on users
for each row when (new.trust_points <> 0) execute function trust_points_guard();
create or replace trigger trust_points_guard_update before update of trust_points on users
for each row when (old.trust_points is distinct from new.trust_points)
execute function trust_points_guard();

-- ── The record of work ──────────────────────────────────────────────────────────────────────────
-- HX801 (AUDIT-5): this record only grows.
create or replace trigger abandonments_append_only before update or delete or truncate on abandonments
for each statement execute function append_only('HX801', 'AUDIT-5');

-- ── Who may have which tier ─────────────────────────────────────────────────────────────────────
-- HX010: a tier changes only as its reason allows, whoever writes it. Without a reason it is the
-- owner's own act, logged as ADMIN_OVERRIDE; the service has to say one.
create or replace function trust_tier_guard() returns trigger
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    said text := current_setting('hx.trust_reason', true);
begin
    if not coalesce(
        case said
            when 'PROMOTION' then new.trust_tier > old.trust_tier
                and new.trust_tier = tier_earned(new.id) and not promotion_barred(new.id, at)
            when 'DECAY' then new.trust_tier = old.trust_tier - 1 and trust_decays_at(new.id) <= at
            when 'PENALTY' then new.trust_tier = old.trust_tier - 1 and penalty_due(new.id, at)
            when 'ADMIN_OVERRIDE' then exists (
                select from admin_actions as a
                where a.action_type = 'SET_TRUST_TIER' and a.target_id = new.id::text
                    and a.metadata ->> 'tier' = new.trust_tier::text
                    and a.admin_id::text = current_setting('hx.trust_actor', true)
            )
            else coalesce(said, '') = '' and pg_has_role(current_user, 'hx_owner', 'member')
        end,
        false
    ) then
        perform hx_refuse('HX010', 'TRUST-TIER');
    end if;
    return new;
end;
$$;

create or replace trigger trust_tier_guard before update of trust_tier on users
for each row when (old.trust_tier is distinct from new.trust_tier)
execute function trust_tier_guard();

-- Every change of a tier stands in the ledger, a new user's other than ROOKIE included
-- (architecture §4.5).
create or replace function trust_tier_audit() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    insert into trust_ledger (user_id, old_tier, new_tier, reason, task_id, evidence_id, actor_id)
    values (
        new.id,
        case tg_op when 'UPDATE' then old.trust_tier else 1 end,
        new.trust_tier,
        coalesce(nullif(current_setting('hx.trust_reason', true), ''), 'ADMIN_OVERRIDE'),
        nullif(current_setting('hx.trust_task', true), '')::uuid,
        nullif(current_setting('hx.trust_evidence', true), '')::uuid,
        nullif(current_setting('hx.trust_actor', true), '')::uuid
    );
    return null;
end;
$$;

create or replace trigger trust_tier_audit after update of trust_tier on users
for each row when (old.trust_tier is distinct from new.trust_tier)
execute function trust_tier_audit();
create or replace trigger trust_tier_audit_insert after insert on users
for each row when (new.trust_tier <> 1) execute function trust_tier_audit();

-- ── Penalties ───────────────────────────────────────────────────────────────────────────────────
-- INV-TRUST-2: whoever shuts, pauses or opens an account, it stands in the ledger. The name sorts behind
-- trust_tier_audit, whose row comes first where both change at once.
create or replace function user_penalty_audit() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    perform record_penalty(
        new.id,
        case new.account_status
            when 'SUSPENDED' then 'SUSPENSION' when 'PAUSED' then 'PAUSE' else 'REINSTATEMENT'
        end,
        null,
        act_behind(new.id, '{SUSPEND_USER,REINSTATE_USER}')
    );
    return null;
end;
$$;

create or replace trigger user_penalty_audit after update of account_status on users
for each row when (old.account_status is distinct from new.account_status)
execute function user_penalty_audit();
create or replace trigger user_penalty_audit_insert after insert on users
for each row when (new.account_status <> 'ACTIVE') execute function user_penalty_audit();

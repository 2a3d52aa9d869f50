-- Trust: tiers, points, the record of work behind them, and what a poor LIVE record leads to.
-- Formulas and definitions: docs/progress.md.

-- ── Tiers ──────────────────────────────────────────────────────────────────────────────────────
-- What each tier asks for (architecture §4.1). A tier asks for all that the one below it does.
create table trust_tiers (
    tier smallint not null,
    name text not null,
    completed_tasks integer not null,
    approval_rate numeric(3, 2) not null,
    identity_verified boolean not null,
    insurance_valid boolean not null,
    constraint trust_tiers_pkey primary key (tier)
);

insert into trust_tiers (
    tier, name, completed_tasks, approval_rate, identity_verified, insurance_valid
) values
(1, 'ROOKIE', 0, 0, false, false),
(2, 'VERIFIED', 5, 0, true, false),
(3, 'TRUSTED', 20, 0.95, true, false),
(4, 'ELITE', 50, 0.98, true, true);

-- ── Ledger ─────────────────────────────────────────────────────────────────────────────────────
-- Every change of a tier, every point and every penalty, with its cause (architecture §4.5, INV-TRUST-2).
create table trust_ledger (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    old_tier smallint not null,
    new_tier smallint not null,
    reason text not null,
    points numeric(6, 1) not null default 0,
    task_id uuid,
    -- what the change stands on beside the task: a dispute, a document
    evidence_id uuid,
    actor_id uuid,
    created_at timestamptz not null default hx_clock(),
    constraint trust_ledger_pkey primary key (id),
    constraint trust_ledger_user foreign key (user_id) references users (id),
    constraint trust_ledger_task foreign key (task_id) references tasks (id),
    -- until when a ban or a pause was set; null where it has no end, or none of its own
    until timestamptz,
    constraint trust_ledger_reason check (
        reason in (
            'PROMOTION', 'DECAY', 'PENALTY', 'ADMIN_OVERRIDE',
            'COMPLETION', 'QUICK_COMPLETION', 'ABANDONMENT',
            'SUSPENSION', 'PAUSE', 'REINSTATEMENT',
            'LIVE_BAN', 'LIVE_BAN_LIFTED', 'LIVE_PAUSE'
        )
    ),
    -- a task counts once for each reason
    constraint trust_ledger_once_per_task unique (task_id, reason)
);
create index trust_ledger_by_user on trust_ledger (user_id, created_at desc);

-- HX801: the trust ledger only grows.
create trigger trust_ledger_append_only before update or delete or truncate on trust_ledger
for each statement execute function append_only('HX801', 'TRUST-LEDGER');

-- HX101 (INV-1): a completion counts once its money was released, for who did the task. HX503: nobody's
-- trust is changed by themselves.
create function trust_ledger_guard() returns trigger
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

create trigger trust_ledger_guard before insert on trust_ledger
for each row execute function trust_ledger_guard();

create function trust_points_of(p_user uuid) returns numeric
language sql stable
return coalesce((select sum(l.points) from trust_ledger as l where l.user_id = p_user), 0);

-- users.trust_points follows the ledger.
create function trust_ledger_applies() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    update users set trust_points = trust_points_of(new.user_id) where id = new.user_id;
    return null;
end;
$$;

create trigger trust_ledger_applies after insert on trust_ledger
for each row when (new.points <> 0) execute function trust_ledger_applies();

-- HX801: users.trust_points holds what the ledger says, whoever writes it.
create function trust_points_guard() returns trigger
language plpgsql
as $$
begin
    if new.trust_points is distinct from trust_points_of(new.id) then
        perform hx_refuse('HX801', 'TRUST-LEDGER');
    end if;
    return new;
end;
$$;

create trigger trust_points_guard_insert before insert on users
for each row when (new.trust_points <> 0) execute function trust_points_guard();
create trigger trust_points_guard_update before update of trust_points on users
for each row when (old.trust_points is distinct from new.trust_points)
execute function trust_points_guard();

-- ── The record of work ─────────────────────────────────────────────────────────────────────────
-- Tasks that a hustler gave back or did not come to. QUICK: within 60 s of the accept, free.
create table abandonments (
    task_id uuid not null,
    hustler_id uuid not null,
    kind text not null,
    mode text not null,
    at timestamptz not null,
    constraint abandonments_pkey primary key (task_id),
    constraint abandonments_task foreign key (task_id) references tasks (id),
    constraint abandonments_hustler foreign key (hustler_id) references users (id),
    constraint abandonments_kind check (kind in ('RELEASED', 'QUICK', 'NO_SHOW'))
);
create index abandonments_by_hustler on abandonments (hustler_id, at desc);

-- HX801 (AUDIT-5): this record only grows.
create trigger abandonments_append_only before update or delete or truncate on abandonments
for each statement execute function append_only('HX801', 'AUDIT-5');

-- Whether the hustler of a task was paid for it: until then nothing of it counts.
create function is_paid(p_task uuid) returns boolean
language sql stable
return exists (
    select from escrows as e
    where e.task_id = p_task and e.is_current and e.state in ('RELEASED', 'REFUND_PARTIAL')
);

-- Every task whose holder answers for its end: COMPLETED and paid, ABANDONED, or LOST in a dispute. What
-- a poster cancelled and what was given back at once is nobody's fault and stands nowhere in here.
create view work_record as
select
    t.assigned_hustler_id as hustler_id,
    t.id as task_id,
    t.mode,
    t.category,
    'COMPLETED' as ending,
    coalesce(t.completed_at, t.updated_at) as at,
    not exists (
        select from proofs as p where p.task_id = t.id and p.state = 'REJECTED'
    ) as was_approved
from tasks as t
inner join escrows as e on e.task_id = t.id and e.is_current
where t.state = 'COMPLETED' and e.state in ('RELEASED', 'REFUND_PARTIAL')
union all
select a.hustler_id, a.task_id, a.mode, t.category, 'ABANDONED', a.at, false
from abandonments as a inner join tasks as t on t.id = a.task_id
where a.kind <> 'QUICK'
union all
select t.assigned_hustler_id, t.id, t.mode, t.category, 'LOST', d.resolved_at, false
from disputes as d inner join tasks as t on t.id = d.task_id
where d.outcome = 'POSTER';
comment on view work_record is
'How each task ended for the hustler who held it; the source of every rate.';

create type work_counts as (completed integer, approved integer, abandoned integer, lost integer);

create function work_counts_of(p_user uuid, p_mode text default null) returns work_counts
language sql stable
return (
    select row(
        count(*) filter (where w.ending = 'COMPLETED'),
        count(*) filter (where w.was_approved),
        count(*) filter (where w.ending = 'ABANDONED'),
        count(*) filter (where w.ending = 'LOST')
    )::work_counts
    from work_record as w
    where w.hustler_id = p_user and w.mode = coalesce(p_mode, w.mode)
);

-- 0..1; null before the first task. Completed of all that was held to an end.
create function completion_rate(c work_counts) returns numeric
language sql immutable
return c.completed / nullif(c.completed + c.abandoned + c.lost, 0)::numeric;

-- 0..1; null before the first task. Completed without a rejected proof, of completed and lost.
create function approval_rate(c work_counts) returns numeric
language sql immutable
return c.approved / nullif(c.completed + c.lost, 0)::numeric;

-- What matching knows of a hustler follows the record; the version tells that it changed.
create function refresh_profile(p_user uuid) returns void
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

-- ── Who may have which tier ────────────────────────────────────────────────────────────────────
-- Each criterion of each tier beside what the user has reached; flags count as 1.
create function tier_criteria(p_user uuid)
returns table (tier smallint, criterion text, required numeric, reached numeric)
language sql stable
begin atomic
    select t.tier, k.criterion, k.required, k.reached
    from users as u
    inner join hustler_profiles as p on p.user_id = u.id
    cross join work_counts_of(p_user) as c
    cross join trust_tiers as t
    cross join lateral (
        values
        ('COMPLETED_TASKS', t.completed_tasks::numeric, c.completed::numeric),
        ('APPROVAL_RATE', t.approval_rate, coalesce(approval_rate(c), 0)),
        ('IDENTITY_VERIFIED', t.identity_verified::integer, (u.identity_verified_at is not null)::integer),
        ('INSURANCE_VALID', t.insurance_valid::integer, p.insurance_valid::integer)
    ) as k (criterion, required, reached)
    where u.id = p_user and k.required > 0;
end;

-- The highest tier of which every criterion is met: a promotion goes straight to it.
create function tier_earned(p_user uuid) returns smallint
language sql stable
return (
    select coalesce(min(k.tier) - 1, 4)::smallint
    from tier_criteria(p_user) as k
    where k.reached < k.required
);

-- No promotion within 30 days after a penalty, or after an admin lowered the tier.
create function promotion_barred(p_user uuid, at timestamptz) returns boolean
language sql stable
return exists (
    select from trust_ledger as l
    where l.user_id = p_user and l.created_at > promotion_barred.at - interval '30 days'
        and (l.reason = 'PENALTY' or (l.reason = 'ADMIN_OVERRIDE' and l.new_tier < l.old_tier))
);

-- 90 days after the last completed task, or the last change of the tier (architecture §4.3).
create function trust_decays_at(p_user uuid) returns timestamptz
language sql stable
return (
    select interval '90 days' + greatest(
        u.created_at,
        (
            select max(w.at) from work_record as w
            where w.hustler_id = p_user and w.ending = 'COMPLETED'
        ),
        (
            select max(l.created_at) from trust_ledger as l
            where l.user_id = p_user and l.new_tier <> l.old_tier
        )
    )
    from users as u where u.id = p_user
);

-- 3 abandonments in 30 days, or 2 lost disputes in 90 days. Each counts for one penalty only.
create function penalty_due(p_user uuid, at timestamptz) returns boolean
language sql stable
return (
    select
        count(*) filter (
            where w.ending = 'ABANDONED' and w.at > penalty_due.at - interval '30 days'
        ) >= 3
        or count(*) filter (
            where w.ending = 'LOST' and w.at > penalty_due.at - interval '90 days'
        ) >= 2
    from work_record as w
    where w.hustler_id = p_user
        and w.at > coalesce(
            (
                select max(l.created_at) from trust_ledger as l
                where l.user_id = p_user and l.reason = 'PENALTY'
            ),
            '-infinity'
        )
);

-- HX010: a tier changes only as its reason allows, whoever writes it. Without a reason it is the
-- owner's own act, logged as ADMIN_OVERRIDE; the service has to say one.
create function trust_tier_guard() returns trigger
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

create trigger trust_tier_guard before update of trust_tier on users
for each row when (old.trust_tier is distinct from new.trust_tier)
execute function trust_tier_guard();

-- Every change of a tier stands in the ledger, a new user's other than ROOKIE included
-- (architecture §4.5).
create function trust_tier_audit() returns trigger
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

create trigger trust_tier_audit after update of trust_tier on users
for each row when (old.trust_tier is distinct from new.trust_tier)
execute function trust_tier_audit();
create trigger trust_tier_audit_insert after insert on users
for each row when (new.trust_tier <> 1) execute function trust_tier_audit();

-- ── Penalties ──────────────────────────────────────────────────────────────────────────────────
-- The admin's act of this transaction that a change stands on; null where the rules themselves changed it.
create function act_behind(p_user uuid, p_actions text[]) returns admin_actions
language sql stable
return (
    select a
    from admin_actions as a
    where a.target_type = 'user' and a.target_id = p_user::text and a.action_type = any(p_actions)
        and a.created_at >= hx_clock() - (clock_timestamp() - transaction_timestamp())
    order by a.created_at desc
    limit 1
);

-- A row that changes neither tier nor points: what was done to an account, until when, and by whom.
create function note_penalty(p_user uuid, p_reason text, p_until timestamptz, a admin_actions)
returns void
language sql
begin atomic
    insert into trust_ledger (user_id, old_tier, new_tier, reason, until, evidence_id, actor_id)
    select u.id, u.trust_tier, u.trust_tier, p_reason, p_until, (a).id, (a).admin_id
    from users as u where u.id = p_user;
end;

-- INV-TRUST-2: whoever shuts, pauses or opens an account, it stands in the ledger. The name sorts behind
-- trust_tier_audit, whose row comes first where both change at once.
create function user_penalty_audit() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    perform note_penalty(
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

create trigger user_penalty_audit after update of account_status on users
for each row when (old.account_status is distinct from new.account_status)
execute function user_penalty_audit();
create trigger user_penalty_audit_insert after insert on users
for each row when (new.account_status <> 'ACTIVE') execute function user_penalty_audit();

-- INV-TRUST-2: every ban from LIVE mode and every pause of it, set by the rules, an admin or by hand, and
-- the end of one before its time. One that has run out leaves no second row when it is cleared.
create function live_penalty_audit() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    at timestamptz := hx_clock();
    ban admin_actions := act_behind(new.user_id, '{LIVE_BAN,LIFT_LIVE_BAN}');
begin
    if new.banned_until is distinct from old.banned_until then
        if new.banned_until > at then
            perform note_penalty(new.user_id, 'LIVE_BAN', new.banned_until, ban);
        elsif old.banned_until > at then
            perform note_penalty(new.user_id, 'LIVE_BAN_LIFTED', null, ban);
        end if;
    end if;
    if new.paused_until is distinct from old.paused_until then
        -- a pause runs its time: live_status_guard lets nobody lift it
        if new.paused_until > at then
            perform note_penalty(new.user_id, 'LIVE_PAUSE', new.paused_until, null);
        end if;
    end if;
    return null;
end;
$$;

create trigger live_penalty_audit after update on live_status
for each row when (
    (old.banned_until, old.paused_until) is distinct from (new.banned_until, new.paused_until)
)
execute function live_penalty_audit();

-- ── Changing a tier ────────────────────────────────────────────────────────────────────────────
-- Why the tier changes: read by guard and audit, gone with the change.
create function trust_act(p_reason text, p_task uuid, p_evidence uuid, p_actor uuid) returns void
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
create function change_tier(
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

create function check_promotion(p_user uuid) returns jsonb
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
create function check_penalty(p_user uuid, p_task uuid) returns jsonb
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
create function fire_trust_review(p_user uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    held smallint;
    due timestamptz;
    told jsonb := '[]';
begin
    select trust_tier into held from users where id = p_user for no key update;
    due := trust_decays_at(p_user);
    if held > 1 and due <= hx_clock() then
        told := change_tier(p_user, held - 1, 'DECAY');
        held := held - 1;
        due := trust_decays_at(p_user);
    end if;
    if held > 1 then
        perform hx_timer('TRUST_REVIEW', p_user, due);
    end if;
    return told;
end;
$$;

-- An admin sets a tier, with a reason that stays on record.
create function set_trust_tier(p_admin uuid, p_user uuid, p_tier integer, p_reason text)
returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    held smallint;
begin
    perform admin_may_decide(p_admin, p_user::text);
    perform hx_timer('TRUST_REVIEW', p_user, hx_clock() + interval '90 days');
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

-- ── LIVE record ────────────────────────────────────────────────────────────────────────────────
-- product_spec §3.6; each figure is defined in docs/progress.md. Seconds, shares of 1, cents.
create function live_record(p_user uuid) returns table (
    total_live_tasks integer,
    live_completion_rate double precision,
    average_response_time_seconds double precision,
    average_eta_accuracy double precision,
    live_earnings_total bigint,
    no_responses integer
)
language plpgsql stable
as $$
declare
    c work_counts := work_counts_of(p_user, 'LIVE');
begin
    return query
    select
        c.completed + c.abandoned + c.lost,
        completion_rate(c)::double precision,
        (
            select avg(extract(epoch from o.responded_at - coalesce(o.sent_at, o.offered_at)))
            from offers as o
            where o.hustler_id = p_user and o.response = 'ACCEPT'
        )::double precision,
        (
            -- 1 when on time to the second, 0 when off by the whole time foreseen, at least a minute
            select avg(greatest(0, 1 - (
                abs(extract(epoch from t.arrived_at - t.eta_at))
                / greatest(extract(epoch from t.eta_at - t.accepted_at), 60)
            )))
            from tasks as t
            where t.assigned_hustler_id = p_user and t.mode = 'LIVE'
                and t.arrived_at is not null and t.eta_at is not null
        )::double precision,
        (
            select coalesce(sum(e.release_amount - platform_fee_cents(e.release_amount)), 0)
            from tasks as t inner join escrows as e on e.task_id = t.id and e.is_current
            where t.assigned_hustler_id = p_user and t.mode = 'LIVE'
                and e.state in ('RELEASED', 'REFUND_PARTIAL')
        )::bigint,
        (
            -- a card that could be answered for 120 s and was not
            select count(*)
            from offers as o inner join live_broadcasts as b on b.id = o.broadcast_id
            where o.hustler_id = p_user and o.response is null
                and least(hx_clock(), b.ended_at, b.expires_at) >= o.sent_at + interval '120 seconds'
        )::integer;
end;
$$;

-- A ban ends an open session; a task that the hustler holds stays theirs (HX905 guards the return).
create function ban_from_live(s live_status, p_until timestamptz) returns live_status
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    update live_sessions set ended_at = hx_clock(), end_reason = 'FORCED' where id = s.session_id;
    update live_status
    set
        banned_until = greatest(banned_until, p_until),
        session_id = null, active_since = null, version = version + 1
    where user_id = s.user_id
    returning * into s;
    return s;
end;
$$;

-- A pause never shortens another one.
create function pause_live(s live_status, p_until timestamptz, p_reason text) returns live_status
language plpgsql
as $$
begin
    if s.paused_until >= p_until then
        return s;
    end if;
    update live_status
    set paused_until = p_until, paused_reason = p_reason, version = version + 1
    where user_id = s.user_id
    returning * into s;
    return s;
end;
$$;

-- What an event does to a hustler's LIVE mode, at its moment p_at; the events that tell it.
-- p_event: COMPLETED, LOST, or a kind of abandonment. The caller holds the row of live_status.
create function judge_live_record(p_user uuid, p_event text, p_at timestamptz) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    s live_status;
    c work_counts := work_counts_of(p_user, 'LIVE');
    total integer := c.completed + c.abandoned + c.lost;
    -- a completion only raises the rate; but the tenth task is the first that is judged
    judged boolean := p_event <> 'QUICK' and total >= 10 and (p_event <> 'COMPLETED' or total = 10);
    was live_status;
begin
    select * into was from live_status where user_id = p_user;
    s := was;
    if judged and c.completed * 100 < total * 70 then
        s := ban_from_live(s, p_at + interval '30 days');
    elsif judged and c.completed * 100 < total * 80 then
        s := pause_live(s, p_at + interval '7 days', 'COMPLETION_RATE');
    end if;
    if p_event in ('RELEASED', 'NO_SHOW') and 2 <= (
        select count(*) from abandonments as a
        where a.hustler_id = p_user and a.mode = 'LIVE' and a.kind <> 'QUICK'
            and a.at > p_at - interval '30 days'
    ) then
        s := ban_from_live(s, p_at + interval '7 days');
    end if;
    if p_event = 'QUICK' and 3 <= (
        select count(*) from abandonments as a
        where a.hustler_id = p_user and a.mode = 'LIVE' and a.kind = 'QUICK'
            and a.at > p_at - interval '24 hours'
    ) then
        s := pause_live(s, p_at + interval '30 minutes', 'QUICK_RELEASES');
    end if;
    if s.banned_until is distinct from was.banned_until
        or (s.session_id is not null and s.paused_until is distinct from was.paused_until)
    then
        return jsonb_build_array(live_event(s));
    end if;
    return '[]';
end;
$$;

-- ── What the commands call ─────────────────────────────────────────────────────────────────────
-- Each is called in the transaction that ends the task, or that ends its settlement where it was
-- completed, answers the events to append, and does nothing a second time.
--
-- Locks, in this order: the TRUST_REVIEW timer → live status → users.

-- product_spec §3.6
create function trust_points_for(p_reason text, p_mode text) returns numeric
language sql immutable
return case p_reason
    when 'COMPLETION' then case p_mode when 'LIVE' then 1.5 else 1 end
    when 'QUICK_COMPLETION' then case p_mode when 'LIVE' then 1 else 0.5 end
    when 'ABANDONMENT' then case p_mode when 'LIVE' then -4 else -2 end
end;

create function add_trust_points(t tasks, p_reason text) returns boolean
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
create function note_completed(p_task uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    t tasks;
    told jsonb := '[]';
begin
    select * into t from tasks where id = p_task;
    if t.state is distinct from 'COMPLETED' or not is_paid(p_task) then
        return '[]';
    end if;
    perform hx_timer('TRUST_REVIEW', t.assigned_hustler_id, t.completed_at + interval '90 days');
    perform from live_status where user_id = t.assigned_hustler_id for no key update;
    perform from users where id = t.assigned_hustler_id for no key update;
    if not add_trust_points(t, 'COMPLETION') then
        return '[]';
    end if;
    -- from the start code to the accepted proof: how long the poster took to look is not counted
    if exists (
        select from proofs as p
        where p.task_id = t.id and p.state = 'ACCEPTED' and p.kind <> 'DECISION'
            and p.submitted_at < t.started_at + interval '30 minutes'
    ) then
        perform add_trust_points(t, 'QUICK_COMPLETION');
    end if;
    perform refresh_profile(t.assigned_hustler_id);
    if t.mode = 'LIVE' then
        told := judge_live_record(t.assigned_hustler_id, 'COMPLETED', hx_clock());
    end if;
    return told || check_promotion(t.assigned_hustler_id) || grant_badges(t.assigned_hustler_id);
end;
$$;

-- All that a paid task leaves with its hustler: XP by the tier from before, then points, record and tier.
create function book_progress(p_escrow uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    t tasks;
begin
    select tasks.* into t
    from tasks inner join escrows on escrows.task_id = tasks.id
    where escrows.id = p_escrow;
    perform hx_timer('TRUST_REVIEW', t.assigned_hustler_id, t.completed_at + interval '90 days');
    perform from live_status where user_id = t.assigned_hustler_id for no key update;
    return award_xp(p_escrow) || note_completed(t.id);
end;
$$;

-- A dispute ended for the poster.
create function note_lost(p_task uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    w work_record;
    told jsonb := '[]';
begin
    select * into w from work_record where task_id = p_task and ending = 'LOST';
    if not found then
        return '[]';
    end if;
    perform from live_status where user_id = w.hustler_id for no key update;
    perform from users where id = w.hustler_id for no key update;
    perform refresh_profile(w.hustler_id);
    if w.mode = 'LIVE' then
        told := judge_live_record(w.hustler_id, 'LOST', w.at);
    end if;
    return told || check_penalty(w.hustler_id, p_task);
end;
$$;

-- The hustler gave the task back (RELEASED; QUICK within 60 s) or did not come (NO_SHOW).
create function note_given_up(p_task uuid, p_kind text, p_at timestamptz) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    t tasks;
    told jsonb := '[]';
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
        told := judge_live_record(t.assigned_hustler_id, p_kind, p_at);
    end if;
    if p_kind = 'QUICK' then
        return told;
    end if;
    perform add_trust_points(t, 'ABANDONMENT');
    perform refresh_profile(t.assigned_hustler_id);
    return told || check_penalty(t.assigned_hustler_id, t.id);
end;
$$;

-- ── Grants ─────────────────────────────────────────────────────────────────────────────────────
-- Update and delete are granted so that the ledger's own refusal answers, not 42501; rows are
-- inserted by the functions above alone.
grant update, delete on trust_ledger, abandonments to hx_app;
-- These take the caller's word, so that only the functions above may call them.
revoke execute on function
change_tier, ban_from_live, judge_live_record, add_trust_points
from hx_app;

-- The record of work, and who may have which tier. Formulas and definitions: docs/progress.md.

-- ── Points ──────────────────────────────────────────────────────────────────────────────────────
create or replace function trust_points_of(p_user uuid) returns numeric
language sql stable
return coalesce((select sum(l.points) from trust_ledger as l where l.user_id = p_user), 0);

-- ── The record of work ──────────────────────────────────────────────────────────────────────────
-- Whether the hustler of a task was paid for it: until then nothing of it counts.
create or replace function is_paid(p_task uuid) returns boolean
language sql stable
return exists (
    select from escrows as e
    where e.task_id = p_task and e.is_current and e.state in ('RELEASED', 'REFUND_PARTIAL')
);

-- Every task whose holder answers for its end: COMPLETED and paid, ABANDONED, or LOST in a dispute. What
-- a poster cancelled and what was given back at once is nobody's fault and stands nowhere in here.
create or replace view work_record as
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

create or replace function work_counts_of(p_user uuid, p_mode text default null) returns work_counts
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
create or replace function completion_rate(c work_counts) returns numeric
language sql immutable
return c.completed / nullif(c.completed + c.abandoned + c.lost, 0)::numeric;

-- 0..1; null before the first task. Completed without a rejected proof, of completed and lost.
create or replace function approval_rate(c work_counts) returns numeric
language sql immutable
return c.approved / nullif(c.completed + c.lost, 0)::numeric;

-- ── Who may have which tier ─────────────────────────────────────────────────────────────────────
-- Each criterion of each tier beside what the user has reached; flags count as 1.
create or replace function tier_criteria(p_user uuid)
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
create or replace function tier_earned(p_user uuid) returns smallint
language sql stable
return (
    select coalesce(min(k.tier) - 1, 4)::smallint
    from tier_criteria(p_user) as k
    where k.reached < k.required
);

-- No promotion soon after a penalty, or after an admin lowered the tier.
create or replace function promotion_barred(p_user uuid, at timestamptz) returns boolean
language sql stable
return exists (
    select from trust_ledger as l
    where l.user_id = p_user and l.created_at > promotion_barred.at - promotion_bar()
        and (l.reason = 'PENALTY' or (l.reason = 'ADMIN_OVERRIDE' and l.new_tier < l.old_tier))
);

-- Some time after the last completed task, or the last change of the tier (architecture §4.3).
create or replace function trust_decays_at(p_user uuid) returns timestamptz
language sql stable
return (
    select trust_decay_after() + greatest(
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

-- Too many abandonments, or lost disputes, within their windows. Each counts for one penalty only.
create or replace function penalty_due(p_user uuid, at timestamptz) returns boolean
language sql stable
return (
    select
        count(*) filter (
            where w.ending = 'ABANDONED' and w.at > penalty_due.at - penalty_abandonments_window()
        ) >= penalty_abandonments()
        or count(*) filter (
            where w.ending = 'LOST' and w.at > penalty_due.at - penalty_disputes_window()
        ) >= penalty_disputes()
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

-- ── Penalties ───────────────────────────────────────────────────────────────────────────────────
-- The admin's act of this transaction that a change stands on; null where the rules themselves changed it.
create or replace function act_behind(p_user uuid, p_actions text[]) returns admin_actions
language sql stable
return (
    select a
    from admin_actions as a
    where a.target_type = 'user' and a.target_id = p_user::text and a.action_type = any(p_actions)
        and a.created_at >= hx_clock() - (clock_timestamp() - transaction_timestamp())
    order by a.created_at desc
    limit 1
);

-- ── Points ──────────────────────────────────────────────────────────────────────────────────────
-- Each is called in the transaction that ends the task, or that ends its settlement where it was
-- completed, answers the events to append, and does nothing a second time.
--
-- Locks, in this order: the TRUST_REVIEW timer → live status → users.

-- product_spec §3.6
create or replace function trust_points_for(p_reason text, p_mode text) returns numeric
language sql immutable
return case p_reason
    when 'COMPLETION'
        then case p_mode when 'LIVE' then live_completion_points() else completion_points() end
    when 'QUICK_COMPLETION'
        then case p_mode when 'LIVE' then live_quick_completion_points() else quick_completion_points() end
    when 'ABANDONMENT'
        then case p_mode when 'LIVE' then live_abandonment_points() else abandonment_points() end
end;

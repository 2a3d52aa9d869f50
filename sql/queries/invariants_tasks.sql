-- What must hold about tasks and everything that hangs on them; see invariants_money.sql.

-- name: transitions_lead_to_the_state
-- A task's steps form a chain from its birth to the state it is in.
with steps as (
    select
        h.task_id, h.from_state, h.to_state,
        lag(h.to_state) over (partition by h.task_id order by h.id) as before,
        row_number() over (partition by h.task_id order by h.id desc) as n
    from task_transitions as h
)

select s.task_id::text as subject, format('a step from %s after %s', s.from_state, s.before) as found
from steps as s
where s.from_state is distinct from s.before
union all
select t.id::text, format('state %s, last step to %s', t.state, coalesce(s.to_state, 'none'))
from tasks as t
left join steps as s on s.task_id = t.id and s.n = 1
where t.state is distinct from s.to_state;

-- name: transitions_are_legal
-- Every step of every task stands in the lifecycle.
select h.task_id::text as subject, format('%s → %s', h.from_state, h.to_state) as found
from task_transitions as h
inner join tasks as t on t.id = h.task_id
where case
    when h.from_state is null then h.to_state <> case t.mode when 'LIVE' then 'MATCHING' else 'OPEN' end
    else not exists (
        select from lifecycle as l
        where l.machine = 'task' and l.from_state = h.from_state and l.to_state = h.to_state
    )
end;

-- name: one_winner
-- A task is accepted once, by the hustler it is assigned to; one that nobody accepted has nobody.
select
    t.id::text as subject,
    format('%s accepts, the last by %s, assigned to %s', a.accepts, a.winner, t.assigned_hustler_id)
        as found
from tasks as t
cross join lateral (
    select count(*) as accepts, max(h.actor_id::text) as winner
    from task_transitions as h
    where h.task_id = t.id and h.from_state in ('OPEN', 'MATCHING') and h.to_state = 'ACCEPTED'
) as a
where a.accepts <> (t.assigned_hustler_id is not null)::integer
    or (a.accepts = 1 and a.winner is distinct from t.assigned_hustler_id::text);

-- name: nobody_holds_two_live_tasks
-- A hustler holds at most one LIVE task in ACCEPTED or WORKING, rework aside (HX014).
select t.assigned_hustler_id::text as subject, format('%s LIVE tasks', count(*)) as found
from tasks as t
where t.mode = 'LIVE' and t.state in ('ACCEPTED', 'WORKING') and t.rejections = 0
group by t.assigned_hustler_id
having count(*) > 1;

-- name: successors_follow_cancelled_tasks
-- A successor follows a task that was cancelled in its favour, of the same poster.
select t.id::text as subject, format('predecessor %s %s', p.state, p.cancel_reason) as found
from tasks as t
inner join tasks as p on p.id = t.predecessor_id
where p.state <> 'CANCELLED' or p.poster_id <> t.poster_id
    or p.cancel_reason is null
    or p.cancel_reason not in ('HUSTLER_RELEASED', 'SWITCHED_TO_STANDARD');

-- name: completed_tasks_are_proven
-- A COMPLETED task that asks for proof has an accepted one, and only such a task has (INV-3).
select
    t.id::text as subject, format('%s, %s accepted proofs', t.state, p.accepted) as found
from tasks as t
cross join lateral (
    select count(*) as accepted from proofs as p where p.task_id = t.id and p.state = 'ACCEPTED'
) as p
where case
    when t.state = 'COMPLETED' then p.accepted > 1 or (t.requires_proof and p.accepted = 0)
    else p.accepted > 0
end;

-- name: arrivals_are_evident
-- Who has arrived was seen at the place or had the poster's code, and no photo was handed in before.
select t.id::text as subject, format('arrived %s, started %s', t.arrived_at, t.started_at) as found
from tasks as t
where t.arrived_at is not null and not exists (
    select from arrivals as a
    where a.task_id = t.id and a.at = t.arrived_at and a.evidence <> 'CLAIM'
) or t.started_at is not null and not exists (
    select from arrivals as a
    where a.task_id = t.id and a.at = t.started_at and a.evidence = 'START_CODE'
)
union all
select p.task_id::text, format('%s at %s, arrived %s', p.kind, p.submitted_at, t.arrived_at)
from proofs as p
inner join tasks as t on t.id = p.task_id
where p.kind in ('PHOTOS', 'NONE') and p.state <> 'PENDING'
    and coalesce(p.submitted_at < t.arrived_at, true);

-- name: open_proofs_are_under_review
-- A task is in PROOF_SUBMITTED exactly while one proof of it waits for its review.
select t.id::text as subject, format('%s, %s proofs wait', t.state, p.waiting) as found
from tasks as t
cross join lateral (
    select count(*) as waiting from proofs as p where p.task_id = t.id and p.state = 'SUBMITTED'
) as p
where t.state <> 'DISPUTED' and p.waiting <> (t.state = 'PROOF_SUBMITTED')::integer;

-- name: rejections_are_counted
-- A task counts as many rejections as proofs of it were turned down.
select t.id::text as subject, format('%s counted, %s rejected', t.rejections, p.rejected) as found
from tasks as t
cross join lateral (
    select count(*) as rejected from proofs as p where p.task_id = t.id and p.state = 'REJECTED'
) as p
where t.rejections <> p.rejected;

-- name: photos_prove_one_thing
-- A proof by photos has as many as its task asked for, each the hustler's own and marked as used.
select p.id::text as subject, format('%s of %s photos', f.photos, t.min_photos) as found
from proofs as p
inner join tasks as t on t.id = p.task_id
cross join lateral (
    select count(*) as photos
    from proof_photos as f
    inner join uploads as u on u.id = f.upload_id
    where f.proof_id = p.id and u.user_id = p.hustler_id and u.used_at is not null
) as f
where p.kind = 'PHOTOS' and p.state <> 'PENDING' and f.photos < t.min_photos;

-- name: disputes_lock_the_money
-- A task is DISPUTED exactly while its dispute is open and its escrow locked.
select
    t.id::text as subject,
    format(
        'task %s, dispute %s, escrow %s', t.state, coalesce(d.state, 'none'), coalesce(e.state, 'none')
    ) as found
from tasks as t
left join disputes as d on d.task_id = t.id
left join escrows as e on e.id = d.escrow_id
where (t.state = 'DISPUTED') <> coalesce(d.state <> 'RESOLVED', false)
    or (t.state = 'DISPUTED' and (e.state is distinct from 'LOCKED_DISPUTE' or e.task_id <> t.id));

-- name: rulings_end_the_task
-- A dispute that was decided ended its task: COMPLETED for the hustler or a split, else CANCELLED.
select d.id::text as subject, format('%s, task %s, escrow %s', d.outcome, t.state, e.state) as found
from disputes as d
inner join tasks as t on t.id = d.task_id
inner join escrows as e on e.id = d.escrow_id
where d.state = 'RESOLVED' and not coalesce(case d.outcome
    when 'POSTER'
        then t.state in ('CANCELLED', 'EXPIRED') and e.state in ('LOCKED_DISPUTE', 'REFUNDED')
    when 'HUSTLER' then t.state = 'COMPLETED' and e.state in ('LOCKED_DISPUTE', 'RELEASED')
    else t.state = 'COMPLETED' and e.state in ('LOCKED_DISPUTE', 'REFUND_PARTIAL')
end, false);

-- name: decisions_are_on_record
-- What an admin decided, closed, flagged, granted or revoked has its row in admin_actions (AUDIT-3).
with done as (
    select 'RESOLVE_DISPUTE' as action, d.id::text as target, d.resolved_by as admin
    from disputes as d
    where d.state = 'RESOLVED'
    union all
    select 'CLOSE_ITEM', i.id::text, i.closed_by from admin_items as i
    where i.closed_by is not null
    union all
    select 'FLAG_XP', f.ledger_id::text, f.flagged_by from xp_flags as f
    union all
    select 'GRANT_BADGE', b.user_id::text, b.granted_by from badges as b
    where b.granted_by is not null
    union all
    select 'REVOKE_BADGE', b.id::text, b.revoked_by from badges as b
    where b.revoked_by is not null
)

select d.target as subject, format('%s by %s', d.action, d.admin) as found
from done as d
where not exists (
    select from admin_actions as a
    where a.admin_id = d.admin and a.action_type = d.action and a.target_id = d.target
);

-- name: nobody_decided_their_own_dispute
-- Who decided a dispute is neither side of its task, nor opened it (OWN-CASE).
select d.id::text as subject, format('%s by %s', d.outcome, d.resolved_by) as found
from disputes as d
inner join tasks as t on t.id = d.task_id
where d.resolved_by in (t.poster_id, t.assigned_hustler_id, d.opened_by);

-- name: held_tasks_were_accepted
-- Whoever holds a task said yes to it: by the answer to its offer, or to a STANDARD task (LIVE-7).
select t.id::text as subject, format('%s, no yes of %s', t.state, t.assigned_hustler_id) as found
from tasks as t
where t.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED') and not case t.mode
    when 'LIVE' then exists (
        select from live_broadcasts as b
        inner join offers as o on o.broadcast_id = b.id
        where b.task_id = t.id and o.hustler_id = t.assigned_hustler_id and o.response = 'ACCEPT'
    )
    else exists (
        select from acceptances as a
        where a.task_id = t.id and a.hustler_id = t.assigned_hustler_id
    )
end;

-- name: timers_have_their_subject
-- Every timer is about something that exists, and none about a task or money that has ended.
select format('%s %s', m.kind, m.subject) as subject, coalesce(t.state, 'nothing there') as found
from timers as m
left join tasks as t on t.id = m.subject
where case m.kind
    when 'BROADCAST_END' then not exists (select from live_broadcasts as b where b.id = m.subject)
    when 'REPLACEMENT' then not exists (select from escrows as e where e.id = m.subject)
    when 'FUNDS_HELD' then not exists (
        select from escrows as e
        where e.id = m.subject and e.state in ('FUNDED', 'LOCKED_DISPUTE')
    )
    when 'DISPUTE_DUE' then not exists (select from disputes as d where d.id = m.subject)
    when 'TRUST_REVIEW' then not exists (select from users as u where u.id = m.subject)
    when 'LIVE_STATE' then not exists (select from live_status as s where s.user_id = m.subject)
    else coalesce(t.state in ('COMPLETED', 'CANCELLED', 'EXPIRED'), true)
end;

-- name: what_waits_has_its_timer
-- Whatever waits for a moment has the timer that ends its waiting.
with waits as (
    select 'BROADCAST_END' as kind, b.id as subject from live_broadcasts as b where b.state = 'ACTIVE'
    union all
    select 'REVIEW', t.id from tasks as t where t.state = 'PROOF_SUBMITTED'
    union all
    select 'DEADLINE', t.id from tasks as t
    where t.state in ('OPEN', 'MATCHING') and t.deadline is not null
    union all
    select 'REPLACEMENT', e.id from escrows as e where e.state = 'PENDING' and e.replaces is not null
    union all
    select 'UNFUNDED', t.id from tasks as t
    where t.state in ('OPEN', 'MATCHING') and not exists (
        select from escrows as e where e.task_id = t.id and e.is_current and e.state <> 'PENDING'
    )
    union all
    select 'CHOICE', t.id from tasks as t
    where t.state = 'MATCHING' and t.deadline is null
        and exists (select from live_broadcasts as b where b.task_id = t.id)
        and not exists (
            select from live_broadcasts as b where b.task_id = t.id and b.state = 'ACTIVE'
        )
        -- who cannot sign in has no choice that could run out
        and account_is_active(t.poster_id)
    union all
    select 'LIVE_STATE', s.user_id from live_status as s
    where live_state_changes_at(s, hx_clock()) is not null
)

select w.subject::text as subject, format('no timer %s', w.kind) as found
from waits as w
where not exists (select from timers as m where m.kind = w.kind and m.subject = w.subject);

-- name: held_tasks_have_codes
-- A task that somebody holds has a start code and a completion code.
select t.id::text as subject, format('%s codes', count(c.kind)) as found
from tasks as t
left join task_codes as c on c.task_id = t.id
where t.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED')
group by t.id
having count(c.kind) <> 2;

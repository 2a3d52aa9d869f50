-- What must hold about XP and trust; see invariants_money.sql.

-- name: total_xp_is_the_ledger
-- A user's total XP is the sum of the ledger (architecture §3.3): the ledger wins.
select u.id::text as subject, format('total %s, ledger %s', u.total_xp, x.earned) as found
from users as u
cross join lateral (
    select coalesce(sum(l.effective_xp), 0) as earned from xp_ledger as l where l.user_id = u.id
) as x
where u.total_xp <> x.earned;

-- name: xp_rows_form_a_chain
-- Each award begins where the one before it ended, and adds what it says.
select
    x.user_id::text as subject,
    format('award %s: %s → %s', x.id, x.user_xp_before, x.user_xp_after) as found
from (
    select
        l.*,
        lag(l.user_xp_after, 1, 0) over (
            partition by l.user_id order by l.user_xp_after, l.user_xp_before, l.created_at
        ) as stood
    from xp_ledger as l
) as x
where x.user_xp_before <> x.stood or x.user_xp_after <> x.user_xp_before + x.effective_xp;

-- name: xp_levels_fit
-- The levels of an award are those of its totals.
select
    x.id::text as subject,
    format(
        '%s XP level %s, %s XP level %s', x.user_xp_before, x.user_level_before, x.user_xp_after,
        x.user_level_after
    ) as found
from xp_ledger as x
where x.user_level_before <> level_of(x.user_xp_before)
    or x.user_level_after <> level_of(x.user_xp_after);

-- name: xp_follows_the_formula
-- XP is floor(released cents ÷ 100 × streak × trust × live), of the award's own figures.
select
    x.id::text as subject,
    format(
        '%s XP of %s cents × %s × %s × %s', x.effective_xp, x.amount, x.streak_multiplier,
        x.trust_multiplier, x.live_multiplier
    ) as found
from xp_ledger as x
inner join tasks as t on t.id = x.task_id
where x.base_xp <> x.amount / 100
    or x.effective_xp <> effective_xp(
        x.amount, x.streak_multiplier, x.trust_multiplier, x.live_multiplier
    )
    or x.streak_multiplier <> streak_multiplier(x.user_streak_at_award)
    or x.live_multiplier <> live_multiplier(t.mode);

-- name: xp_multiplies_by_the_tier
-- The trust multiplier of an award is that of the tier its hustler had then.
select x.id::text as subject, format('× %s on tier %s', x.trust_multiplier, held.tier) as found
from xp_ledger as x
cross join lateral (
    select coalesce(
        (
            select l.new_tier from trust_ledger as l
            where l.user_id = x.user_id and l.created_at <= x.created_at
            order by l.created_at desc
            limit 1
        ),
        1
    )::smallint as tier
) as held
where x.trust_multiplier <> trust_multiplier(held.tier);

-- name: xp_stands_on_released_money
-- XP exists only for released money, of the hustler's own task, and for as much as was released (INV-1).
select
    x.id::text as subject,
    format('escrow %s, released %s, XP of %s', e.state, e.release_amount, x.amount) as found
from xp_ledger as x
inner join escrows as e on e.id = x.escrow_id
inner join tasks as t on t.id = e.task_id
where e.state not in ('RELEASED', 'REFUND_PARTIAL')
    or (x.amount, x.task_id, x.user_id)
    is distinct from (e.release_amount, e.task_id, t.assigned_hustler_id);

-- name: released_money_brings_xp
-- Whoever was paid for a task has the XP for it.
select e.id::text as subject, format('%s cents released, no XP', e.release_amount) as found
from escrows as e
where e.state in ('RELEASED', 'REFUND_PARTIAL') and e.release_amount > 0
    and not exists (select from xp_ledger as x where x.escrow_id = e.id);

-- name: streaks_are_the_last_award
-- A user's streak is that of the newest award, and the longest is at least as long as any.
select
    p.user_id::text as subject,
    format('%s days to %s, longest %s', p.streak_days, p.last_completed_on, p.longest_streak_days) as found
from progress as p
left join lateral (
    select x.user_streak_at_award as days, x.streak_on from xp_ledger as x
    where x.user_id = p.user_id
    order by x.user_xp_after desc, x.created_at desc
    limit 1
) as last on true
where (p.streak_days, p.last_completed_on) is distinct from (coalesce(last.days, 0), last.streak_on)
    or p.longest_streak_days < (
        select coalesce(max(x.user_streak_at_award), 0) from xp_ledger as x where x.user_id = p.user_id
    );

-- name: streaks_rise_by_the_next_day
-- A streak begins at one, rises by one on the very next day, and else is kept or begins again.
select
    x.user_id::text as subject,
    format('%s days on %s after %s on %s', x.days, x.streak_on, x.stood, x.stood_on) as found
from (
    select
        l.user_id,
        l.user_streak_at_award as days,
        l.streak_on,
        lag(l.user_streak_at_award) over chain as stood,
        lag(l.streak_on) over chain as stood_on
    from xp_ledger as l
    window chain as (partition by l.user_id order by l.user_xp_after, l.user_xp_before, l.created_at)
) as x
where not case
    when x.stood is null then x.days = 1
    when x.days > x.stood then x.days = x.stood + 1 and x.streak_on = x.stood_on + 1
    else x.days in (x.stood, 1) and x.streak_on >= x.stood_on
end;

-- name: tiers_are_the_ledgers_last
-- A user is on the tier that the trust ledger's newest row says, else on the first.
select u.id::text as subject, format('tier %s, ledger %s', u.trust_tier, l.tier) as found
from users as u
cross join lateral (
    select coalesce(
        (
            select n.new_tier from trust_ledger as n
            where n.user_id = u.id
            order by n.created_at desc
            limit 1
        ),
        1
    ) as tier
) as l
where u.trust_tier <> l.tier;

-- name: trust_rows_form_a_chain
-- Each change of a tier begins where the one before it ended.
select
    l.user_id::text as subject,
    format('%s: %s → %s after %s', l.reason, l.old_tier, l.new_tier, l.stood) as found
from (
    select n.*, lag(n.new_tier, 1, 1::smallint) over (partition by n.user_id order by n.created_at) as stood
    from trust_ledger as n
) as l
where l.old_tier <> l.stood;

-- name: trust_points_are_the_ledger
-- A user's trust points are the sum of the ledger, each row worth what its reason says.
select u.id::text as subject, format('points %s, ledger %s', u.trust_points, l.points) as found
from users as u
cross join lateral (
    select coalesce(sum(n.points), 0) as points from trust_ledger as n where n.user_id = u.id
) as l
where u.trust_points <> l.points
union all
select n.user_id::text, format('%s is worth %s', n.reason, n.points)
from trust_ledger as n
left join tasks as t on t.id = n.task_id
where n.points <> coalesce(trust_points_for(n.reason, t.mode), 0);

-- name: completed_tasks_count
-- Every completed task counts once for its hustler's trust when it is paid, and nothing else does.
select coalesce(t.id, l.task_id)::text as subject,
    format('%s, %s points', coalesce(t.state, 'not paid'), coalesce(l.points, 0)) as found
from (
    select n.*
    from tasks as n
    inner join escrows as e on e.task_id = n.id and e.is_current
    where n.state = 'COMPLETED' and e.state in ('RELEASED', 'REFUND_PARTIAL')
) as t
full join (select n.* from trust_ledger as n where n.reason = 'COMPLETION') as l
    on l.task_id = t.id and l.user_id = t.assigned_hustler_id
where t.id is null or l.id is null;

-- name: profiles_follow_the_record
-- Completion and approval rate of a hustler are those of the record of work.
select
    p.user_id::text as subject,
    format(
        'profile %s and %s, record %s and %s', p.completion_rate, p.approval_rate,
        completion_rate(w.counts), approval_rate(w.counts)
    ) as found
from (select distinct r.hustler_id from work_record as r) as h
inner join hustler_profiles as p on p.user_id = h.hustler_id
cross join lateral (select work_counts_of(p.user_id) as counts) as w
where (p.completion_rate, p.approval_rate) is distinct from (
    completion_rate(w.counts)::double precision, approval_rate(w.counts)::double precision
);

-- name: penalties_are_on_record
-- What shuts an account or bars its LIVE mode has its row in the trust ledger (INV-TRUST-2).
select u.id::text as subject, format('%s, ledger %s', u.account_status, last.reason) as found
from users as u
left join lateral (
    select l.reason from trust_ledger as l
    where l.user_id = u.id and l.reason in ('SUSPENSION', 'PAUSE', 'REINSTATEMENT')
    order by l.created_at desc
    limit 1
) as last on true
where coalesce(last.reason, 'REINSTATEMENT') <> case u.account_status
    when 'SUSPENDED' then 'SUSPENSION' when 'PAUSED' then 'PAUSE' else 'REINSTATEMENT'
end
union all
select s.user_id::text, format('%s until %s, no row', k.reason, k.until)
from live_status as s
cross join lateral (
    values ('LIVE_BAN', s.banned_until), ('LIVE_PAUSE', s.paused_until)
) as k (reason, until)
where k.until is not null and not exists (
    select from trust_ledger as l
    where l.user_id = s.user_id and l.reason = k.reason and l.until = k.until
);

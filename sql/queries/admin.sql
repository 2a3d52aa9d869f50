-- What an admin reads (engine/admin/queue.py, and admin.py of each subject). The commands and views
-- stand in sql/schema/, with their subject.

-- name: admin_overview
-- what waits, how much of each kind, and since when the oldest; ages in seconds
with clock as (select hx_clock() as at),

waiting as (
    select 'ITEM' as subject, i.kind, i.opened_at as since
    from admin_items as i
    where i.closed_at is null
    union all
    select 'SETTLEMENT', s.state, s.created_at
    from settlements as s
    where s.state <> 'DONE'
    union all
    select 'FAILED_TRANSFER', s.state, s.created_at
    from settlements as s
    where s.state <> 'DONE' and s.release_amount > 0 and not s.transfer_done
        and s.last_error is not null
    union all
    select 'LATE_PAYMENT', s.state, s.created_at
    from settlements as s
    where s.state <> 'DONE' and s.payment is not null
    union all
    select 'CHARGEBACK', c.state, c.opened_at
    from chargebacks as c
    where c.state = 'OPEN'
    union all
    select 'DISPUTE', d.state, d.opened_at
    from disputes as d
    where d.state <> 'RESOLVED'
    union all
    select 'DISPUTE_PAST_DUE', d.state, d.evidence_due_at
    from disputes as d cross join clock
    where d.state <> 'RESOLVED' and d.evidence_due_at < clock.at
    union all
    select 'STUCK_TASK', k.kind, k.since
    from clock cross join stuck_tasks(clock.at) as k
),

kinds as (
    select
        w.subject, w.kind, count(*) as number, min(w.since) as oldest_at
    from waiting as w
    group by w.subject, w.kind
)

select jsonb_build_object(
    'at', (select clock.at from clock),
    'waiting', coalesce(
        (
            select jsonb_agg(jsonb_build_object(
                'subject', k.subject,
                'kind', k.kind,
                'count', k.number,
                'oldest_at', k.oldest_at,
                'oldest_age_s', greatest(extract(epoch from clock.at - k.oldest_at), 0)
            ) order by k.subject, k.kind)
            from kinds as k cross join clock
        ),
        '[]'
    )
);

-- name: admin_items
-- $1 kind or null, $2 OPEN, CLOSED or null, $3 $4 cursor or null, $5 limit; the oldest first
select item_view(i) as item, i.opened_at as created_at, i.id
from admin_items as i
where ($1::text is null or i.kind = $1)
    and ($2::text is distinct from 'OPEN' or i.closed_at is null)
    and ($2::text is distinct from 'CLOSED' or i.closed_at is not null)
    and ($3::timestamptz is null or (i.opened_at, i.id) > ($3, $4::uuid))
order by i.opened_at, i.id
limit $5;

-- name: admin_item
select item_view(i) from admin_items as i where i.id = $1;

-- name: admin_settlements
-- $1 state or null, $2 whether only late payments, $3 $4 cursor or null, $5 limit; the oldest first
select settlement_view(s) as item, s.created_at, s.id
from settlements as s
where ($1::text is null or s.state = $1)
    and (s.payment is not null or not $2::boolean)
    and ($3::timestamptz is null or (s.created_at, s.id) > ($3, $4::uuid))
order by s.created_at, s.id
limit $5;

-- name: admin_settlement
select settlement_view(s) from settlements as s where s.id = $1;

-- name: admin_chargebacks
-- $1 state or null, $2 limit; the newest first
select coalesce(jsonb_agg(chargeback_view(c) order by c.opened_at desc, c.id), '[]')
from (
    select n.* from chargebacks as n
    where $1::text is null or n.state = $1
    order by n.opened_at desc, n.id
    limit $2
) as l
inner join chargebacks as c on c.id = l.id;

-- name: admin_disputes
-- $1 state, UNRESOLVED or null, $2 $3 cursor or null, $4 limit; the oldest first
select dispute_view(d) as item, d.opened_at as created_at, d.id
from disputes as d
where ($1::text is null or d.state = $1 or ($1 = 'UNRESOLVED' and d.state <> 'RESOLVED'))
    and ($2::timestamptz is null or (d.opened_at, d.id) > ($2, $3::uuid))
order by d.opened_at, d.id
limit $4;

-- name: admin_dispute
select jsonb_build_object(
    'dispute', dispute_view(d),
    'amount_cents', e.amount,
    'escrow_state', e.state,
    'poster_id', t.poster_id,
    'hustler_id', t.assigned_hustler_id,
    'task_state', t.state,
    'proofs', proofs_view(d.task_id),
    'history', history_view(d.task_id),
    'chargebacks', (
        select coalesce(jsonb_agg(chargeback_view(c) order by c.opened_at, c.id), '[]')
        from chargebacks as c where c.escrow_id = d.escrow_id
    ),
    'actions', (
        select coalesce(jsonb_agg(action_view(a) order by a.created_at, a.id), '[]')
        from admin_actions as a where a.target_type = 'dispute' and a.target_id = d.id::text
    )
)
from disputes as d
inner join escrows as e on e.id = d.escrow_id
inner join tasks as t on t.id = d.task_id
where d.id = $1;

-- name: admin_stuck
-- $1 kind or null, $2 $3 cursor or null, $4 limit; the longest stuck first
select
    jsonb_build_object(
        'task_id', t.id, 'state', t.state, 'mode', t.mode, 'kind', k.kind, 'since', k.since,
        'poster_id', t.poster_id, 'hustler_id', t.assigned_hustler_id,
        'escrow_id', e.id, 'escrow_state', e.state, 'amount_cents', e.amount,
        'settlement_id', (select s.id from settlements as s where s.escrow_id = e.id)
    ) as item,
    k.since as created_at,
    e.id
from stuck_tasks(hx_clock()) as k
inner join tasks as t on t.id = k.task_id
inner join escrows as e on e.id = k.escrow_id
where ($1::text is null or k.kind = $1)
    and ($2::timestamptz is null or (k.since, e.id) > ($2, $3::uuid))
order by k.since, e.id
limit $4;

-- name: admin_actions
-- $1 target type or null, $2 target id or null, $3 $4 cursor or null, $5 limit; the newest first
select action_view(a) as item, a.created_at, a.id
from admin_actions as a
where ($1::text is null or a.target_type = $1)
    and ($2::text is null or a.target_id = $2)
    and ($3::timestamptz is null or (a.created_at, a.id) < ($3, $4::uuid))
order by a.created_at desc, a.id desc
limit $5;

-- name: task_money
select money_timeline(t.id) from tasks as t where t.id = $1;

-- name: xp_row
select xp_view(x) from xp_ledger as x where x.id = $1;

-- name: admin_user
select jsonb_build_object(
    'id', u.id,
    'role', u.role,
    'first_name', u.first_name,
    'account_status', u.account_status,
    'tokens_revoked_at', u.tokens_revoked_at,
    'trust_tier', u.trust_tier,
    'trust_points', u.trust_points,
    'total_xp', u.total_xp,
    'created_at', u.created_at,
    'live', live_view(s),
    -- the last of all days for a ban until an admin lifts it
    'banned_until', case s.banned_until
        when 'infinity' then '9999-12-31 23:59:59+00' else s.banned_until
    end,
    'payout_account', (
        select jsonb_build_object(
            'account_id', p.account_id, 'payouts_enabled', p.payouts_enabled,
            'closed_at', p.closed_at,
            'updated_at', p.updated_at
        )
        from payout_accounts as p where p.user_id = u.id
    ),
    'badges', (
        select coalesce(jsonb_agg(badge_view(b) order by b.granted_at, b.id), '[]')
        from badges as b where b.user_id = u.id and b.revoked_at is null
    ),
    'xp', (
        select coalesce(jsonb_agg(xp_view(x) order by x.user_xp_after desc, x.created_at desc), '[]')
        from (
            select n.id from xp_ledger as n
            where n.user_id = u.id
            order by n.user_xp_after desc, n.created_at desc
            limit 50
        ) as l
        inner join xp_ledger as x on x.id = l.id
    )
)
from users as u inner join live_status as s on s.user_id = u.id
where u.id = $1;

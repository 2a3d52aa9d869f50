-- What the provider tells, the hustlers' accounts, and the comparison of its books with ours.

-- name: unseen_provider_events
select events.event_id
from unnest($1::text[]) as events (event_id)
where not exists (
    select from processed_stripe_events as seen where seen.event_id = events.event_id
);

-- name: payout_account
select jsonb_build_object(
    'account_id', account_id, 'payouts_enabled', payouts_enabled, 'closed', closed_at is not null
)
from payout_accounts where user_id = $1;

-- name: awaited_accounts
-- accounts that held payouts wait for, the longest not asked about first
select p.account_id, p.payouts_enabled
from payout_accounts as p
where p.closed_at is null and exists (
    select from settlements as s
    inner join escrows as e on e.id = s.escrow_id
    inner join tasks as t on t.id = e.task_id
    where s.state = 'HELD' and s.release_amount > 0 and not s.transfer_done
        and t.assigned_hustler_id = p.user_id
)
order by p.as_of nulls first
limit $1;

-- name: account_unchanged
update payout_accounts set as_of = greatest(as_of, $2) where account_id = $1;

-- name: booked_movements
with booked as (
    select
        'PAYMENT' as kind, m.reference, m.amount as amount_cents, m.at, m.escrow_id,
        null::uuid as settlement_id
    from money_entries as m
    where m.kind = 'CHARGE'
        and (m.at >= $1 or m.reference = any($2::text[]) or m.escrow_id = any($3::uuid[]))
    union all
    select
        leg.kind, leg.reference, leg.amount_cents, coalesce(s.done_at, s.due_at), s.escrow_id, s.id
    from settlements as s
    cross join lateral (
        values
        ('TRANSFER', s.transfer_done, s.transfer_reference, s.release_amount - s.fee_amount),
        ('REFUND', s.refund_done, s.refund_reference, s.refund_amount)
    ) as leg (kind, done, reference, amount_cents)
    where leg.done
        and (
            coalesce(s.done_at, s.due_at) >= $1
            or leg.reference = any($2::text[]) or s.id = any($4::uuid[])
        )
        -- what others took counts as the refund without being one of ours
        and not exists (select from chargebacks as c where c.id = leg.reference)
        and not exists (select from external_refunds as r where r.id = leg.reference)
)

select coalesce(jsonb_agg(to_jsonb(booked)), '[]'::jsonb) from booked;

-- name: known_owners
select id from escrows where id = any($1::uuid[])
union all
select id from settlements where id = any($2::uuid[]);

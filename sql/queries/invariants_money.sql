-- What must add up about money. `hustlexp invariants verify` runs each check: its rows are what
-- disagrees (subject: which row; found: what is wrong), its first line is the sentence it proves.

-- name: journal_holds_the_escrow
-- The journal of an escrow holds its amount while the money is held, and nothing before and after.
select e.id::text as subject, format('%s, %s cents, journal %s', e.state, e.amount, held.cents) as found
from escrows as e
cross join lateral (
    select coalesce(sum(m.amount), 0) as cents from money_entries as m where m.escrow_id = e.id
) as held
where held.cents <> case
    when e.state in ('FUNDED', 'LOCKED_DISPUTE') then e.amount
    when e.state = 'CANCELLED' and exists (
        select from settlements as s where s.escrow_id = e.id and s.state <> 'DONE'
    ) then e.amount
    else 0
end;

-- name: journal_entries_are_the_movements
-- Each entry of the journal is a movement of its escrow, with its amount and the provider's name.
with expected as (
    select e.id, m.kind, m.amount, m.reference
    from escrows as e
    left join settlements as late on late.escrow_id = e.id and late.payment is not null
    cross join lateral (
        values
        (
            'CHARGE',
            case when e.state not in ('PENDING', 'CANCELLED') then e.amount else late.refund_amount end,
            case when e.state <> 'CANCELLED' then e.stripe_payment_intent_id else late.payment end
        ),
        ('TRANSFER', e.fee_amount - e.release_amount, e.stripe_transfer_id),
        ('FEE', -e.fee_amount, e.stripe_transfer_id),
        (
            'REFUND',
            -coalesce(e.refund_amount, case when late.state = 'DONE' then late.refund_amount end),
            coalesce(e.stripe_refund_id, late.refund_reference)
        )
    ) as m (kind, amount, reference)
    where m.amount <> 0
)

select
    coalesce(x.id, m.escrow_id)::text as subject,
    format(
        '%s: %s cents %s in the journal, %s cents %s in the escrow', coalesce(x.kind, m.kind),
        coalesce(m.amount, 0), m.reference, coalesce(x.amount, 0), x.reference
    ) as found
from expected as x
full join money_entries as m on m.escrow_id = x.id and m.kind = x.kind
where (m.amount, m.reference) is distinct from (x.amount, x.reference);

-- name: held_is_refunded_and_released
-- What an ended escrow held is what was refunded and released, to the cent.
select
    e.id::text as subject,
    format(
        '%s: %s held, %s refunded, %s released', e.state, e.amount, coalesce(e.refund_amount, 0),
        coalesce(e.release_amount, 0)
    ) as found
from escrows as e
where case e.state
    when 'RELEASED' then (e.release_amount, e.refund_amount) is distinct from (e.amount, null)
    when 'REFUNDED' then (e.release_amount, e.refund_amount) is distinct from (null, e.amount)
    when 'REFUND_PARTIAL' then coalesce(
        e.release_amount + e.refund_amount <> e.amount or least(e.release_amount, e.refund_amount) <= 0,
        true
    )
    else coalesce(e.release_amount, e.refund_amount, e.fee_amount) is not null
end;

-- name: released_is_net_and_fee
-- The fee is 15 % of what was released, floored to a cent, in escrows and settlements.
select e.id::text as subject, format('%s released, fee %s', e.release_amount, e.fee_amount) as found
from escrows as e
where e.fee_amount is distinct from platform_fee_cents(e.release_amount)
union all
select s.id::text, format('%s to release, fee %s', s.release_amount, s.fee_amount)
from settlements as s
where s.fee_amount <> platform_fee_cents(s.release_amount);

-- name: settlements_move_their_escrow
-- A settlement moves all that its escrow holds, to the side that its kind says.
select
    s.id::text as subject,
    format('%s of %s held: %s released, %s refunded', s.kind, e.amount, s.release_amount, s.refund_amount)
        as found
from settlements as s
inner join escrows as e on e.id = s.escrow_id
where s.release_amount + s.refund_amount <> e.amount
    or s.kind <> case
        when s.refund_amount = 0 then 'RELEASE' when s.release_amount = 0 then 'REFUND' else 'SPLIT'
    end;

-- name: escrows_end_by_their_settlement
-- An escrow ended as its settlement says: same amounts, same names of the movements, both done.
select
    coalesce(e.id, s.escrow_id)::text as subject,
    format('escrow %s, settlement %s %s', e.state, coalesce(s.kind, 'missing'), s.state) as found
from escrows as e
left join settlements as s on s.escrow_id = e.id
where case
    when e.state in ('RELEASED', 'REFUNDED', 'REFUND_PARTIAL') then (
        s.state,
        coalesce(e.release_amount, 0), coalesce(e.refund_amount, 0),
        e.stripe_transfer_id, e.stripe_refund_id
    ) is distinct from (
        'DONE'::text, s.release_amount, s.refund_amount, s.transfer_reference, s.refund_reference
    )
    when e.state = 'CANCELLED' then s.id is not null and s.payment is null
    else s.state = 'DONE' or s.payment is not null
end;

-- name: settlements_follow_the_ruling
-- After a dispute the money goes as it was decided, and the decision is about all of it.
select
    d.id::text as subject,
    format(
        '%s: decided %s + %s of %s, settled %s + %s', d.outcome, d.release_amount, d.refund_amount,
        e.amount, s.release_amount, s.refund_amount
    ) as found
from disputes as d
inner join escrows as e on e.id = d.escrow_id
left join settlements as s on s.escrow_id = e.id
where d.state = 'RESOLVED' and (
    d.release_amount + d.refund_amount <> e.amount
    or (s.release_amount, s.refund_amount) is distinct from (d.release_amount, d.refund_amount)
);

-- name: money_goes_where_the_task_ended
-- Released only for a COMPLETED task, refunded only for one that ended without work or was repriced.
select
    e.id::text as subject,
    format('task %s, escrow %s, settlement %s', t.state, e.state, coalesce(s.kind, 'none')) as found
from escrows as e
inner join tasks as t on t.id = e.task_id
left join settlements as s on s.escrow_id = e.id
where case
    when e.state in ('RELEASED', 'REFUND_PARTIAL') or s.kind in ('RELEASE', 'SPLIT')
        then t.state <> 'COMPLETED' or not e.is_current
    when (e.state = 'REFUNDED' or s.kind = 'REFUND') and s.payment is null and e.is_current
        then t.state not in ('CANCELLED', 'EXPIRED')
    else false
end;

-- name: running_tasks_have_their_money
-- A task that somebody holds, or that is broadcast, has exactly one current escrow with its money in it.
select
    t.id::text as subject,
    format('%s, %s current escrows, %s', t.state, count(e.id), coalesce(min(e.state), 'none')) as found
from tasks as t
left join escrows as e on e.task_id = t.id and e.is_current
where t.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED')
    or exists (select from live_broadcasts as b where b.task_id = t.id and b.state = 'ACTIVE')
group by t.id, t.state
having count(e.id) <> 1
    or min(e.state) <> case t.state when 'DISPUTED' then 'LOCKED_DISPUTE' else 'FUNDED' end;

-- name: one_current_escrow
-- A task has at most one current escrow.
select e.task_id::text as subject, format('%s current escrows', count(*)) as found
from escrows as e
where e.is_current
group by e.task_id
having count(*) > 1;

-- name: prices_are_held
-- A task costs what its current escrow holds.
select
    t.id::text as subject, format('price %s, escrow %s (%s)', t.price, e.amount, e.state) as found
from tasks as t
inner join escrows as e on e.task_id = t.id and e.is_current
where e.amount <> t.price and e.state <> 'CANCELLED';

-- name: no_money_is_trapped
-- Held money of an ended task, or of a replaced escrow, has a settlement on its way.
select
    e.id::text as subject,
    format('%s cents, escrow %s, task %s %s', e.amount, e.state, t.id, t.state) as found
from escrows as e
inner join tasks as t on t.id = e.task_id
where e.state in ('FUNDED', 'LOCKED_DISPUTE')
    and (t.state in ('COMPLETED', 'CANCELLED', 'EXPIRED') or not e.is_current)
    and not exists (select from settlements as s where s.escrow_id = e.id);

-- name: references_are_used_once
-- A payment, a transfer and a refund of the provider belong to one escrow each.
with used as (
    select 'payment' as what, e.stripe_payment_intent_id as reference, e.id from escrows as e
    union
    select 'payment', s.payment, s.escrow_id from settlements as s
    union
    select 'transfer', e.stripe_transfer_id, e.id from escrows as e
    union
    select 'transfer', s.transfer_reference, s.escrow_id from settlements as s
    union
    select 'refund', e.stripe_refund_id, e.id from escrows as e
    union
    select 'refund', s.refund_reference, s.escrow_id from settlements as s
)

select u.reference as subject, format('%s of %s escrows', u.what, count(distinct u.id)) as found
from used as u
where u.reference is not null
group by u.what, u.reference
having count(distinct u.id) > 1;

-- name: replacements_take_over
-- An escrow that held money and is no longer current was replaced by one that was paid.
select e.id::text as subject, format('%s, not current, no paid replacement', e.state) as found
from escrows as e
where not e.is_current and e.state not in ('PENDING', 'CANCELLED')
    and not exists (
        select from escrows as successor
        where successor.replaces = e.id and successor.state not in ('PENDING', 'CANCELLED')
    );

-- name: proposals_have_their_escrow
-- An agreed price waits for its replacement escrow, an applied one was paid; the amounts are equal.
select
    p.id::text as subject,
    format('%s for %s, escrow %s of %s', p.state, p.price, coalesce(e.state, 'none'), e.amount) as found
from price_proposals as p
left join escrows as e on e.id = p.escrow_id
where p.state in ('AGREED', 'APPLIED') and (
    e.amount is distinct from p.price
    or (p.state = 'AGREED') <> (e.state = 'PENDING')
    or (p.state = 'APPLIED' and e.funded_at is null)
);

-- name: chargebacks_name_their_payment
-- A chargeback is about a payment of its escrow, a late one included.
select
    c.id as subject,
    format('%s, escrow has %s', c.payment, coalesce(e.stripe_payment_intent_id, s.payment)) as found
from chargebacks as c
inner join escrows as e on e.id = c.escrow_id
left join settlements as s on s.escrow_id = e.id
where e.stripe_payment_intent_id is distinct from c.payment
    and s.payment is distinct from c.payment;

-- name: external_refunds_name_their_payment
-- A refund that was made by hand is of a payment of its escrow, a late one included.
select
    r.id as subject,
    format('%s, escrow has %s', r.payment, coalesce(e.stripe_payment_intent_id, s.payment)) as found
from external_refunds as r
inner join escrows as e on e.id = r.escrow_id
left join settlements as s on s.escrow_id = e.id
where e.stripe_payment_intent_id is distinct from r.payment
    and s.payment is distinct from r.payment;

-- name: taken_money_rests
-- No settlement moves what was taken back, or may be, unless an admin let it go on.
select s.id::text as subject, format('%s %s, not covered', s.state, s.kind) as found
from settlements as s
where s.state = 'PENDING' and settlement_uncovered(s) and not settlement_forced(s);

-- name: nobody_works_for_taken_money
-- A task that waits or runs stands on a payment that nobody has taken back.
select
    t.id::text as subject,
    format('%s, %s cents of %s were taken', t.state, m.cents, e.stripe_payment_intent_id) as found
from tasks as t
inner join escrows as e on e.task_id = t.id and e.is_current and e.state = 'FUNDED'
cross join lateral money_taken(e.stripe_payment_intent_id) as m
where t.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED') and (m.undecided or m.cents > 0);

-- name: takings_count_for_what_they_took
-- Where what others took counts as the refund, they took at least that much.
select s.id::text as subject, format('%s cents by %s', s.refund_amount, s.refund_reference) as found
from settlements as s
inner join escrows as e on e.id = s.escrow_id
where s.refund_done and exists (
    select from chargebacks as c where c.id = s.refund_reference and c.state = 'LOST'
    union all
    select from external_refunds as r where r.id = s.refund_reference and r.state = 'SUCCEEDED'
) and s.refund_amount > (
    select m.cents from money_taken(coalesce(s.payment, e.stripe_payment_intent_id)) as m
);

-- name: provider_events_had_their_effect
-- What the provider said and we took as applied shows in the rows that it was about.
select p.event_id as subject, format('%s left no trace', p.event_type) as found
from processed_stripe_events as p
where p.result ->> 'result' = 'APPLIED' and case p.result ->> 'kind'
    when 'PAYMENT_SUCCEEDED' then exists (
        select from escrows as e
        where e.state = 'PENDING' and (
            e.stripe_payment_intent_id = p.result ->> 'payment'
            or e.id::text = p.result ->> 'escrow_id'
        )
    )
    when 'TRANSFER_SUCCEEDED' then not exists (
        select from settlements as s
        where s.id::text = p.result ->> 'settlement_id' and s.transfer_done
    )
    when 'REFUND_SUCCEEDED' then not exists (
        select from settlements as s
        where s.refund_done
            and (s.id::text = p.result ->> 'settlement_id' or s.refund_reference = p.result ->> 'reference')
        union all
        select from external_refunds as r
        where r.id = p.result ->> 'reference' and r.state <> 'PENDING'
    )
    when 'CHARGEBACK_OPENED' then not exists (
        select from chargebacks as c
        where c.id = p.result ->> 'reference' and c.reported_disputed_at is not null
    )
    when 'CHARGEBACK_WON' then not exists (
        select from chargebacks as c
        where c.id = p.result ->> 'reference' and c.reported_won_at is not null
    )
    when 'CHARGEBACK_LOST' then not exists (
        select from chargebacks as c
        where c.id = p.result ->> 'reference' and c.reported_lost_at is not null
    )
    else false
end;

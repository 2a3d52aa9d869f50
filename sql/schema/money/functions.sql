-- Money, derived: what is funded, taken back, due.

-- Whether a payment is an escrow's own, or a late one of it that is on its way back.
create or replace function pays_escrow(p_payment text, p_escrow uuid) returns boolean
language sql stable
return exists (
    select from escrows as e
    left join settlements as s on s.escrow_id = e.id
    where e.id = p_escrow and p_payment in (e.stripe_payment_intent_id, s.payment)
);

-- What others have taken out of a payment: whether it is still undecided how much, the cents that are
-- gone, the newest of the provider's names for it, and since when it is so. Null for nothing.
create or replace function money_taken(
    p_payment text, out undecided boolean, out cents integer, out reference text,
    out since timestamptz
)
language sql stable
begin atomic
    with taken as (
        select
            c.id, c.amount, 'CHARGEBACK' as kind, c.opened_at,
            case c.state when 'OPEN' then 'PENDING' else 'SUCCEEDED' end as state
        from chargebacks as c
        where c.payment = p_payment and c.state in ('OPEN', 'LOST')
        union all
        select r.id, r.amount, case when r.is_sum then 'SUM' else 'REFUND' end, r.opened_at, r.state
        from external_refunds as r
        where r.payment = p_payment
    )

    select
        coalesce(bool_or(t.state = 'PENDING'), false),
        (
            coalesce(sum(t.amount) filter (where t.kind = 'CHARGEBACK' and t.state = 'SUCCEEDED'), 0)
            + greatest(
                sum(t.amount) filter (where t.kind = 'REFUND' and t.state = 'SUCCEEDED'),
                -- the sum may be told before the refunds that it consists of
                max(t.amount) filter (where t.kind = 'SUM') - coalesce(
                    sum(t.amount) filter (where t.kind = 'REFUND' and t.state = 'FAILED'), 0
                ),
                0
            )
        )::integer,
        (
            array_agg(t.id order by t.kind = 'SUM', t.opened_at desc, t.id)
            filter (where t.state = 'SUCCEEDED')
        )[1],
        max(t.opened_at) filter (where t.state <> 'FAILED')
    from taken as t;
end;

-- The current escrow of a task, locked FOR SHARE: it cannot leave FUNDED before we commit. Money that
-- others have taken back, or may have, is not there.
create or replace function escrow_is_funded(p_task uuid) returns boolean
language plpgsql
as $$
declare
    e escrows;
begin
    select * into e from escrows
    where task_id = p_task and is_current
    for share;
    if e.state is distinct from 'FUNDED' then
        return false;
    end if;
    return not exists (
        select from chargebacks as c
        where c.payment = e.stripe_payment_intent_id and c.state in ('OPEN', 'LOST')
        union all
        select from external_refunds as r
        where r.payment = e.stripe_payment_intent_id and r.state <> 'FAILED'
    );
end;
$$;

-- What should happen to an escrow that holds money and has no settlement; null while the task runs.
create or replace function settlement_due(e escrows) returns text
language sql stable
return (
    select case
        when e.state not in ('FUNDED', 'LOCKED_DISPUTE') then null
        when exists (select from settlements as s where s.escrow_id = e.id) then null
        when not e.is_current then 'REFUND'
        when e.state = 'LOCKED_DISPUTE' then (
            select case d.outcome
                when 'HUSTLER' then 'RELEASE' when 'POSTER' then 'REFUND' else d.outcome
            end
            from disputes as d where d.task_id = e.task_id and d.state = 'RESOLVED'
        )
        when t.state = 'COMPLETED' then 'RELEASE'
        when t.state in ('CANCELLED', 'EXPIRED') then 'REFUND'
    end
    from tasks as t where t.id = e.task_id
);

-- Whether a pending settlement has something for a worker: a leg that has begun is looked up, not called
-- again; with every leg done the end is missing.
create or replace function settlement_awaits_worker(s settlements) returns boolean
language sql immutable
return (
    (s.release_amount > 0 and s.transfer_reference is null)
    or (s.refund_amount > 0 and s.refund_reference is null)
    or ((s.transfer_done or s.release_amount = 0) and (s.refund_done or s.refund_amount = 0))
);

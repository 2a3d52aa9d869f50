-- Booking the provider's events, each once.
-- A refund succeeded, failed or is on its way: ours by its settlement, or by the name under which an
-- admin booked it; any other of a payment of ours was made by somebody else.
create or replace function apply_refund_fact(f jsonb, p_state text) returns jsonb
language plpgsql
as $$
declare
    s settlements;
begin
    select * into s from settlements
    where id = (f ->> 'settlement_id')::uuid or refund_reference = f ->> 'reference'
        and not exists (select from external_refunds as r where r.id = f ->> 'reference')
    order by (id = (f ->> 'settlement_id')::uuid) desc nulls last
    limit 1;
    if s.id is null then
        if f ? 'settlement_id' and not exists (
            select from escrows as e where e.stripe_payment_intent_id = f ->> 'payment'
            union all
            select from settlements as late where late.payment = f ->> 'payment'
        ) then
            return jsonb_build_object('mismatch', true);
        end if;
        return book_external_refund(f, p_state, false);
    end if;
    case p_state
        when 'SUCCEEDED' then
            if (f ->> 'amount_cents')::integer <> s.refund_amount then
                return jsonb_build_object('mismatch', true);
            end if;
            return book_leg(s.id, 'REFUND', f ->> 'reference');
        when 'FAILED' then
            return book_failed_refund(s.id, f);
        else
            if f ? 'unknown_status' then
                perform record_unknown_status(f ->> 'reference', f ->> 'unknown_status', f);
            end if;
            return jsonb_build_object('subject_id', s.id);
    end case;
end;
$$;

-- The bank sent a refund of ours back.
create or replace function book_failed_refund(p_settlement uuid, f jsonb) returns jsonb
language plpgsql
as $$
declare
    s settlements := hold_settlement_rows(p_settlement);
    reported_before boolean := exists (
        select from admin_items as i
        where i.kind = 'REFUND_FAILED' and i.subject = f ->> 'reference'
    );
begin
    -- a failure is told more than once: an old one does not stop the next try
    if s.state <> 'DONE' and not s.refund_done and (
        s.refund_reference = f ->> 'reference' or (s.refund_reference is null and not reported_before)
    ) then
        update settlements set refund_reference = null where id = s.id;
        perform hold_settlement(s.id, coalesce(f ->> 'note', 'The refund failed.'));
        perform cover_settlement(s.id);
    end if;
    if not reported_before then
        perform open_item('REFUND_FAILED', f ->> 'reference', f);
    end if;
    return jsonb_build_object('subject_id', s.id);
end;
$$;

-- The escrow that a payment is for: the one that it was begun for, else the one that it names.
create or replace function escrow_of_payment(p_escrow uuid, p_payment text) returns escrows
language sql stable
begin atomic
    select e.* from escrows as e
    where e.id = p_escrow or e.stripe_payment_intent_id = p_payment
    order by (e.stripe_payment_intent_id = p_payment) desc nulls last
    limit 1;
end;

-- The task whose broadcast a payment would start (starting_task); null where it starts none.
create or replace function task_of_payment(p_escrow uuid, p_payment text) returns jsonb
language sql stable
return (
    select starting_task(t, e.amount, 'MATCHING')
    from escrow_of_payment(p_escrow, p_payment) as e
    inner join tasks as t on t.id = e.task_id
    where e.state = 'PENDING'
);

-- What one fact changes. Amounts that differ from our rows change nothing: a person looks at them.
create or replace function apply_provider_fact(f jsonb, p_plan jsonb, p_wave jsonb default null)
returns jsonb
language plpgsql
as $$
declare
    e escrows;
    s settlements;
    answer jsonb;
    mismatch jsonb := jsonb_build_object('mismatch', true);
begin
    if f ? 'charge' and not f ? 'payment' then
        -- its payment is known by what was told of that
        f := f || coalesce((
            select jsonb_build_object('payment', p.result ->> 'payment')
            from processed_stripe_events as p
            where p.result ->> 'charge' = f ->> 'charge' and p.result ? 'payment'
            limit 1
        ), '{}');
    end if;
    case f ->> 'kind'
        when 'PAYMENT_SUCCEEDED' then
            e := escrow_of_payment((f ->> 'escrow_id')::uuid, f ->> 'payment');
            if e.id is null or e.amount <> (f ->> 'amount_cents')::integer then
                return mismatch;
            end if;
            answer := book_funding(e.id, f ->> 'payment', p_plan, p_wave);
            return joined_answers(answer, apply_earlier_facts(f ->> 'payment', f ->> 'charge'));
        when 'TRANSFER_SUCCEEDED' then
            select * into s from settlements where id = (f ->> 'settlement_id')::uuid;
            if s.id is null or (f ->> 'amount_cents')::integer <> s.release_amount - s.fee_amount then
                return mismatch;
            end if;
            return book_leg(s.id, 'TRANSFER', f ->> 'reference');
        when 'TRANSFER_REVERSED' then
            perform open_item('TRANSFER_REVERSED', f ->> 'reference', f);
        when 'REFUND_SUCCEEDED', 'REFUND_FAILED', 'REFUND_PENDING' then
            return apply_refund_fact(f, split_part(f ->> 'kind', '_', 2));
        when 'CHARGE_REFUNDED' then
            return book_external_refund(f, 'SUCCEEDED', true);
        when 'INQUIRY_OPENED' then
            return book_chargeback(f, 'INQUIRY');
        when 'INQUIRY_CLOSED' then
            return book_chargeback(f, 'CLOSED');
        when 'CHARGEBACK_OPENED' then
            return book_chargeback(f, 'DISPUTED');
        when 'CHARGEBACK_WON', 'CHARGEBACK_LOST' then
            return book_chargeback(f, split_part(f ->> 'kind', '_', 2));
        when 'ACCOUNT_UPDATED', 'ACCOUNT_CLOSED' then
            return record_payout_account(
                f ->> 'account_id', coalesce((f ->> 'payouts_enabled')::boolean, false),
                f ->> 'kind' = 'ACCOUNT_CLOSED', (f ->> 'at')::timestamptz
            );
        when 'UNKNOWN_STATUS' then
            perform record_unknown_status(
                coalesce(f ->> 'reference', f ->> 'payment'), f ->> 'unknown_status', f
            );
        when 'MISMATCH' then
            return mismatch;
        else
            null;
    end case;
    return '{}'::jsonb;
end;
$$;

-- One event of the provider: its effect once, in the transaction that records it.
create or replace function book_provider_event(
    p_event text, p_type text, p_fact jsonb, p_plan jsonb, p_wave jsonb default null
) returns jsonb
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform pg_advisory_xact_lock(hashtextextended('provider event:' || p_event, 0));
    if exists (select from processed_stripe_events as p where p.event_id = p_event) then
        return jsonb_build_object('outcome', 'DONE');
    end if;
    answer := apply_provider_fact(p_fact, p_plan, p_wave);
    if answer ? 'mismatch' then
        perform open_item('PAYMENT_MISMATCH', p_event, p_fact);
    end if;
    insert into processed_stripe_events (event_id, event_type, result)
    values (
        p_event, p_type,
        p_fact || jsonb_build_object('result', case
            when answer ? 'mismatch' then 'MISMATCH'
            when answer ? 'unknown' then 'UNKNOWN'
            when p_fact ->> 'kind' = 'IGNORED' then 'IGNORED'
            else 'APPLIED'
        end)
    );
    return answer - 'mismatch' - 'unknown';
end;
$$;

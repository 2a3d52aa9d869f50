-- Booking what others take back: chargebacks and refunds from outside.
-- Answers of two commands in one transaction, told together.
create or replace function joined_answers(a jsonb, b jsonb) returns jsonb
language sql immutable
return coalesce(a, '{}') || coalesce(b, '{}') || jsonb_build_object(
    'settle', coalesce((a ->> 'settle')::boolean, false) or coalesce((b ->> 'settle')::boolean, false),
    'events', coalesce(a -> 'events', '[]') || coalesce(b -> 'events', '[]'),
    'closed', coalesce(a -> 'closed', '[]') || coalesce(b -> 'closed', '[]'),
    'withdrawn', coalesce(a -> 'withdrawn', '[]') || coalesce(b -> 'withdrawn', '[]')
);

-- Who books a payment and who hears something of it take turns, before any row is locked: one of them
-- sees what the other did.
create or replace function hold_payment_name(p_payment text) returns void
language sql
begin atomic
    select pg_advisory_xact_lock(hashtextextended('payment:' || p_payment, 0));
end;

-- The escrow of a payment, or of a late one that is on its way back, with its task and broadcast, locked
-- in that order; no row for a payment that we do not know.
create or replace function hold_payment(p_payment text) returns escrows
language plpgsql
as $$
declare
    paid uuid;
    t tasks;
    e escrows;
begin
    perform hold_payment_name(p_payment);
    select coalesce(
        (select escrows.id from escrows where escrows.stripe_payment_intent_id = p_payment),
        (select settlements.escrow_id from settlements where settlements.payment = p_payment limit 1)
    ) into paid;
    -- the money may pass to a successor while its task is waited for
    loop
        select tasks.* into t
        from tasks
        where tasks.id = (select escrows.task_id from escrows where escrows.id = paid)
        for no key update;
        perform from live_broadcasts where task_id = t.id and state = 'ACTIVE' for no key update;
        select * into e from escrows where id = paid for update;
        exit when e.task_id is not distinct from t.id;
    end loop;
    return e;
end;
$$;

-- Brings a settlement in step with what was taken. While that is undecided it is held. What the poster
-- has got that way counts as the refund, as soon as it is all of it; where more or less is gone, an
-- admin decides. p_free: the taking is over, and what was held goes on.
create or replace function cover_settlement(p_settlement uuid, p_free boolean default false)
returns settlements
language plpgsql
as $$
declare
    s settlements;
    paid text;
    taken record;
begin
    select * into s from settlements where id = p_settlement for update;
    select coalesce(s.payment, e.stripe_payment_intent_id) into paid
    from escrows as e where e.id = s.escrow_id;
    select * into taken from money_taken(paid);
    if s.state is distinct from 'DONE' and not taken.undecided
        and s.refund_amount > 0 and not s.refund_done and s.refund_reference is null
        and (s.release_amount = 0 and taken.cents >= s.refund_amount or taken.cents = s.refund_amount)
    then
        update settlements set refund_reference = taken.reference, refund_done = true
        where id = s.id
        returning * into s;
        p_free := true;
    end if;
    if s.state = 'PENDING' and settlement_uncovered(s) then
        perform hold_settlement(s.id, case
            when taken.undecided then 'The payment is disputed, or is being given back.'
            else format('%s cents of the payment were taken back.', taken.cents)
        end);
    elsif s.state = 'HELD' and p_free and not settlement_uncovered(s) then
        update settlements set state = 'PENDING', due_at = hx_clock() where id = s.id;
        perform close_item('SETTLEMENT_HELD', s.id::text);
    end if;
    select * into s from settlements where id = p_settlement;
    return s;
end;
$$;

-- The same for the settlement of an escrow, which it ends when nothing is left to move.
create or replace function cover_escrow(p_escrow uuid, p_free boolean) returns jsonb
language plpgsql
as $$
declare
    s settlements;
begin
    select * into s from settlements where escrow_id = p_escrow;
    if s.id is null or s.state = 'DONE' then
        return jsonb_build_object('subject_id', s.id);
    end if;
    s := cover_settlement(s.id, p_free);
    if s.state = 'PENDING' and (s.transfer_done or s.release_amount = 0)
        and (s.refund_done or s.refund_amount = 0)
    then
        return finish_settlement(s);
    end if;
    return jsonb_build_object('subject_id', s.id, 'settle', s.state = 'PENDING');
end;
$$;

-- Money of this escrow was taken, or may be. Before anybody works for it the task ends; while somebody
-- does, it becomes a dispute with the money locked. The caller holds the rows of hold_payment().
create or replace function stop_for_taking(p_escrow uuid, p_payment text) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    e escrows;
    by_bank boolean := exists (
        select from chargebacks as c
        where c.payment = p_payment and c.state in ('OPEN', 'WON', 'LOST')
    );
begin
    select * into e from escrows where id = p_escrow;
    select * into t from tasks where id = e.task_id;
    if e.state = 'FUNDED' and e.is_current and t.state in ('OPEN', 'MATCHING') then
        if by_bank then
            return end_task(t, 'CANCELLED', null, 'CHARGEBACK');
        end if;
        return end_task(t, 'CANCELLED', null, 'REFUNDED');
    end if;
    if e.state = 'FUNDED' and e.is_current and t.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED')
    then
        return open_dispute(t, null, 'SYSTEM', case
            when by_bank then 'The poster''s bank took the payment back.'
            else 'The payment was given back at the payment provider.'
        end, '[]'::jsonb);
    end if;
    return jsonb_build_object('task_id', t.id);
end;
$$;

-- What the provider told of a payment before we knew it, applied now that an escrow has it.
create or replace function apply_earlier_facts(p_payment text, p_charge text) returns jsonb
language plpgsql
as $$
declare
    facts jsonb;
    answer jsonb;
begin
    for facts in
        select p.result from processed_stripe_events as p
        where p.result ->> 'result' = 'UNKNOWN' and p.result ->> 'payment' = p_payment
        union
        select p.result from processed_stripe_events as p
        where p.result ->> 'result' = 'UNKNOWN' and p.result ->> 'charge' = p_charge
    loop
        answer := joined_answers(answer, apply_provider_fact(
            facts || jsonb_build_object('payment', p_payment), null
        ));
    end loop;
    return answer;
end;
$$;

-- A payment was just booked: whether money of it had been taken before. The task stops then, as it does
-- for what is told later; null where nothing was taken.
create or replace function stop_for_earlier_taking(p_escrow uuid, p_payment text) returns jsonb
language plpgsql
as $$
declare
    answer jsonb := apply_earlier_facts(p_payment, null);
begin
    if not exists (
        select from chargebacks as c
        where c.payment = p_payment and c.state in ('OPEN', 'WON', 'LOST')
        union all
        select from external_refunds as r where r.payment = p_payment
    ) then
        return null;
    end if;
    answer := joined_answers(answer, stop_for_taking(p_escrow, p_payment));
    return joined_answers(answer, cover_escrow(p_escrow, false));
end;
$$;

-- What lies in the admin queue about a dispute at the provider, after something was told of it.
create or replace function record_chargeback_items(before chargebacks, c chargebacks, e escrows) returns void
language plpgsql
as $$
declare
    details jsonb := jsonb_build_object(
        'escrow_id', e.id, 'task_id', e.task_id, 'payment', c.payment,
        'amount_cents', c.amount, 'escrow_state', e.state
    );
begin
    if c.state is distinct from before.state then
        if c.state = 'INQUIRY' then
            perform open_item('INQUIRY', c.id, details);
        else
            perform close_item('INQUIRY', c.id);
        end if;
        if c.state in ('OPEN', 'LOST') then
            perform open_item('CHARGEBACK', c.id, details);
        elsif c.state = 'WON' then
            perform close_item('CHARGEBACK', c.id);
        end if;
    end if;
    if c.reported_lost_at is not null and c.reported_won_at is not null
        and (before.reported_lost_at is null or before.reported_won_at is null)
    then
        perform open_item('CHARGEBACK_REVERSED', c.id, details || jsonb_build_object(
            'state', c.state, 'note',
            'The bank decided twice. Where its first word counted as the refund, the poster may be '
            || 'owed that money again; where the hustler was not paid, the payout goes on.'
        ));
    end if;
end;
$$;

-- Something about a dispute at the provider: p_told is INQUIRY, CLOSED (of an inquiry), DISPUTED, WON
-- or LOST. An inquiry is an item in the admin queue and moves nothing.
create or replace function book_chargeback(f jsonb, p_reported text) returns jsonb
language plpgsql
as $$
declare
    e escrows := hold_payment(f ->> 'payment');
    before chargebacks;
    c chargebacks;
    at timestamptz := coalesce((f ->> 'at')::timestamptz, hx_clock());
    answer jsonb;
begin
    if e.id is null then
        perform open_item(
            'UNKNOWN_PAYMENT', coalesce(f ->> 'payment', f ->> 'charge'),
            jsonb_build_object('chargeback', f ->> 'reference', 'told', p_reported)
        );
        return jsonb_build_object('unknown', true);
    end if;
    perform close_item('UNKNOWN_PAYMENT', f ->> 'payment');
    select * into before from chargebacks where id = f ->> 'reference' for update;
    if before.payment <> f ->> 'payment' then
        return jsonb_build_object('mismatch', true);
    end if;
    insert into chargebacks as had (
        id, escrow_id, payment, amount, reported_inquiry_at, reported_closed_at, reported_disputed_at,
        reported_won_at, reported_lost_at, closed_at
    )
    select
        f ->> 'reference', e.id, f ->> 'payment', case
            when before.state in ('OPEN', 'WON', 'LOST') then case
                when p_reported in ('INQUIRY', 'CLOSED') then before.amount
                else least(before.amount, (f ->> 'amount_cents')::integer)
            end
            else (f ->> 'amount_cents')::integer
        end,
        n.inquiry, n.closed, n.disputed, n.won, n.lost, case
            when chargeback_state(n.inquiry, n.closed, n.disputed, n.won, n.lost)
                not in ('INQUIRY', 'OPEN') then coalesce(before.closed_at, hx_clock())
        end
    from (
        select
            greatest(before.reported_inquiry_at, case p_reported when 'INQUIRY' then at end) as inquiry,
            greatest(before.reported_closed_at, case p_reported when 'CLOSED' then at end) as closed,
            greatest(before.reported_disputed_at, case p_reported when 'DISPUTED' then at end) as disputed,
            greatest(before.reported_won_at, case p_reported when 'WON' then at end) as won,
            greatest(before.reported_lost_at, case p_reported when 'LOST' then at end) as lost
    ) as n
    on conflict (id) do update
    set
        amount = excluded.amount,
        reported_inquiry_at = excluded.reported_inquiry_at,
        reported_closed_at = excluded.reported_closed_at,
        reported_disputed_at = excluded.reported_disputed_at,
        reported_won_at = excluded.reported_won_at,
        reported_lost_at = excluded.reported_lost_at,
        closed_at = excluded.closed_at
    returning * into c;
    perform record_chargeback_items(before, c, e);
    if f ? 'unknown_status' then
        perform record_unknown_status(c.id, f ->> 'unknown_status', f);
    end if;
    answer := jsonb_build_object('task_id', e.task_id);
    if c.state in ('INQUIRY', 'CLOSED') then
        return answer;
    end if;
    if before.id is null or before.state in ('INQUIRY', 'CLOSED') then
        answer := joined_answers(answer, stop_for_taking(e.id, c.payment));
    end if;
    return joined_answers(
        answer, cover_escrow(e.id, c.state is distinct from before.state and c.state = 'WON')
    );
end;
$$;

-- A refund of a payment that we did not ask for; p_state as the provider has it. With p_is_sum the
-- amount is all that its charge has given back, of which our own refund explains a part.
create or replace function book_external_refund(f jsonb, p_state text, p_is_sum boolean) returns jsonb
language plpgsql
as $$
declare
    e escrows := hold_payment(f ->> 'payment');
    before external_refunds;
    r external_refunds;
    cents integer := (f ->> 'amount_cents')::integer;
    known integer;
    answer jsonb;
begin
    if e.id is null then
        return jsonb_build_object('unknown', true);
    end if;
    if p_is_sum then
        cents := cents - coalesce(
            (select s.refund_amount from settlements as s where s.escrow_id = e.id), 0
        );
    end if;
    if cents <= 0 then
        return jsonb_build_object('task_id', e.task_id);
    end if;
    select * into before from external_refunds where id = f ->> 'reference' for update;
    if before.payment <> f ->> 'payment' then
        return jsonb_build_object('mismatch', true);
    end if;
    insert into external_refunds as had (id, escrow_id, payment, amount, is_sum, state)
    values (f ->> 'reference', e.id, f ->> 'payment', cents, p_is_sum, p_state)
    on conflict (id) do update
    set
        amount = case when had.is_sum then greatest(had.amount, excluded.amount) else had.amount end,
        state = case
            when 'FAILED' in (had.state, excluded.state) then 'FAILED'
            when 'SUCCEEDED' in (had.state, excluded.state) then 'SUCCEEDED'
            else 'PENDING'
        end
    returning * into r;
    select coalesce(sum(x.amount), 0) into known from external_refunds as x
    where x.payment = r.payment and not x.is_sum and x.state <> 'FAILED';
    if before.id is null and (not p_is_sum or r.amount > known) then
        perform open_item('EXTERNAL_REFUND', r.id, jsonb_build_object(
            'escrow_id', e.id, 'task_id', e.task_id, 'payment', r.payment,
            'amount_cents', r.amount, 'escrow_cents', e.amount, 'escrow_state', e.state
        ));
    end if;
    if r.state = 'FAILED' then
        perform close_item('EXTERNAL_REFUND', r.id);
    end if;
    -- the refunds that a sum consists of say more than it
    perform close_item('EXTERNAL_REFUND', x.id) from external_refunds as x
    where x.payment = r.payment and x.is_sum and x.amount <= known;
    if f ? 'unknown_status' then
        perform record_unknown_status(r.id, f ->> 'unknown_status', f);
    end if;
    if before.id is null then
        answer := stop_for_taking(e.id, r.payment);
    end if;
    return joined_answers(
        answer, cover_escrow(e.id, r.state = 'FAILED' and before.state is distinct from 'FAILED')
    );
end;
$$;

-- The provider gave something a status that we do not know: nothing moves, a person looks.
create or replace function record_unknown_status(p_subject text, p_status text, p_details jsonb) returns void
language sql
begin atomic
    select open_item('UNKNOWN_STATUS', p_subject || ' ' || p_status, p_details);
end;

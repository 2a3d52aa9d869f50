-- Booking what the provider did: legs of settlements, chargebacks, and its events, each once.
-- Commands as 0012_telling.sql describes them.

-- The settlement with its task and escrow, locked in that order.
create function hold_settlement_rows(p_settlement uuid) returns settlements
language plpgsql
as $$
declare
    s settlements;
begin
    perform from settlements
    join escrows on escrows.id = settlements.escrow_id
    join tasks on tasks.id = escrows.task_id
    where settlements.id = p_settlement
    for no key update of tasks;
    perform from settlements
    join escrows on escrows.id = settlements.escrow_id
    where settlements.id = p_settlement
    for update of escrows;
    select * into s from settlements where id = p_settlement for update;
    if not found then
        perform hx_not_found();
    end if;
    return s;
end;
$$;

-- Ends the escrow of a settlement whose legs are all done; all progress comes with it. Only here does an
-- escrow end with money moved, so RELEASED means that it did.
create function finish_settlement(s settlements) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    e escrows;
    at timestamptz := hx_clock();
    told jsonb := '[]';
begin
    update settlements set state = 'DONE', done_at = at, last_error = null where id = s.id;
    delete from timers where kind = 'FUNDS_HELD' and subject = s.escrow_id;
    perform close_item('SETTLEMENT_HELD', s.id::text);
    perform close_item('FUNDS_HELD', s.escrow_id::text);
    select * into e from escrows where id = s.escrow_id;
    select * into t from tasks where id = e.task_id;
    if e.state <> 'CANCELLED' then
        update escrows
        set
            state = case s.kind
                when 'RELEASE' then 'RELEASED' when 'REFUND' then 'REFUNDED' else 'REFUND_PARTIAL'
            end,
            release_amount = case when s.release_amount > 0 then s.release_amount end,
            refund_amount = case when s.refund_amount > 0 then s.refund_amount end,
            fee_amount = case when s.release_amount > 0 then s.fee_amount end,
            stripe_transfer_id = s.transfer_reference,
            stripe_refund_id = s.refund_reference,
            ended_at = at, updated_at = at
        where id = e.id;
    end if;
    if s.release_amount > 0 then
        told := book_progress(e.id)
            || hx_event(t.poster_id, 'PAYMENT_CAPTURED', jsonb_build_object(
                'task_id', t.id, 'status', 'PAID', 'payment_id', s.transfer_reference
            ))
            || hx_event(t.assigned_hustler_id, 'PAYMENT_CAPTURED', jsonb_build_object(
                'task_id', t.id, 'status', 'PAID', 'payment_id', s.transfer_reference
            ));
    end if;
    if s.refund_amount > 0 then
        told := told || hx_event(t.poster_id, 'PAYMENT_REFUNDED', jsonb_build_object(
            'task_id', t.id, 'amount_cents', s.refund_amount, 'refund_id', s.refund_reference
        ));
    end if;
    return jsonb_build_object(
        'task_id', t.id,
        'subject_id', s.id,
        'events', append_events(told),
        'withdrawn', case
            when s.release_amount > 0 and t.mode = 'LIVE'
                then withdrawn_unless_active(t.assigned_hustler_id)
            else '[]'
        end
    );
end;
$$;

-- One leg is done. The last one ends the escrow; a repetition changes nothing.
create function book_leg(p_settlement uuid, p_leg text, p_reference text) returns jsonb
language plpgsql
as $$
declare
    s settlements := hold_settlement_rows(p_settlement);
begin
    if s.state = 'DONE' then
        return jsonb_build_object('subject_id', s.id);
    end if;
    if p_leg = 'TRANSFER' and s.release_amount > 0 and not s.transfer_done then
        update settlements set transfer_reference = p_reference, transfer_done = true
        where id = s.id
        returning * into s;
    elsif p_leg = 'REFUND' and s.refund_amount > 0 and not s.refund_done then
        update settlements set refund_reference = p_reference, refund_done = true
        where id = s.id
        returning * into s;
    end if;
    if (s.transfer_done or s.release_amount = 0) and (s.refund_done or s.refund_amount = 0) then
        return finish_settlement(s);
    end if;
    return jsonb_build_object('subject_id', s.id, 'settle', true);
end;
$$;

-- A leg has begun at the provider and takes its time.
create function note_leg(p_settlement uuid, p_leg text, p_reference text) returns jsonb
language plpgsql
as $$
begin
    update settlements
    set
        transfer_reference = case
            when p_leg = 'TRANSFER' and not transfer_done then p_reference else transfer_reference
        end,
        refund_reference = case
            when p_leg = 'REFUND' and not refund_done then p_reference else refund_reference
        end
    where id = p_settlement and state <> 'DONE';
    return jsonb_build_object('subject_id', p_settlement);
end;
$$;

-- The call failed and may succeed later: again after a pause that doubles up to 10 minutes.
create function settlement_failed(p_settlement uuid, p_error text) returns jsonb
language plpgsql
as $$
begin
    update settlements
    set
        attempts = attempts + 1,
        last_error = p_error,
        due_at = hx_clock()
            + least(interval '1 second' * power(2, least(attempts, 20)), interval '10 minutes')
    where id = p_settlement and state = 'PENDING';
    return jsonb_build_object('subject_id', p_settlement);
end;
$$;

-- The call will not succeed by being repeated: a person looks at it.
create function hold_settlement(p_settlement uuid, p_error text) returns jsonb
language plpgsql
as $$
begin
    update settlements set state = 'HELD', attempts = attempts + 1, last_error = p_error
    where id = p_settlement and state = 'PENDING';
    if found then
        perform open_item(
            'SETTLEMENT_HELD', p_settlement::text, jsonb_build_object('error', p_error)
        );
    end if;
    return jsonb_build_object('subject_id', p_settlement);
end;
$$;

-- There is no account to pay to, as it seemed: held, unless one has become ready since. Both, and the
-- making of the account's row, take turns: one that becomes ready after us finds the settlement held.
create function hold_unpayable(p_settlement uuid, p_user uuid, p_error text) returns jsonb
language plpgsql
as $$
declare
    ready boolean;
begin
    perform pg_advisory_xact_lock(hashtextextended('payout account:' || p_user, 0));
    select p.payouts_enabled into ready from payout_accounts as p where p.user_id = p_user for share;
    if ready then
        return jsonb_build_object('subject_id', p_settlement, 'settle', true);
    end if;
    return hold_settlement(p_settlement, p_error);
end;
$$;

-- Where a hustler is paid. An account that can be paid again sets free what waited for it. p_as_of is
-- the provider's time of this; null for an operator's word, which any later news replaces.
create function set_payout_account(
    p_user uuid, p_account text, p_enabled boolean, p_as_of timestamptz default null
) returns jsonb
language plpgsql
as $$
declare
    known payout_accounts;
begin
    perform pg_advisory_xact_lock(hashtextextended('payout account:' || p_user, 0));
    select * into known from payout_accounts where user_id = p_user;
    if known.account_id = p_account and p_as_of < known.as_of then
        return jsonb_build_object('subject_id', p_user);
    end if;
    insert into payout_accounts (user_id, account_id, payouts_enabled, as_of)
    values (p_user, p_account, p_enabled, p_as_of)
    on conflict (user_id) do update
    set
        account_id = p_account, payouts_enabled = p_enabled, closed_at = null, as_of = p_as_of,
        updated_at = hx_clock();
    if p_enabled then
        perform free_held_payouts(p_user);
    end if;
    return jsonb_build_object('subject_id', p_user, 'settle', p_enabled);
end;
$$;

-- What the provider tells of an account, or answers about it. Older news changes nothing. A closed one
-- (deleted, or taken from us) is paid no more; its hustler opens another.
create function note_payout_account(
    p_account text, p_enabled boolean, p_closed boolean, p_as_of timestamptz
) returns jsonb
language plpgsql
as $$
declare
    p payout_accounts;
begin
    update payout_accounts
    set
        payouts_enabled = p_enabled and not p_closed,
        closed_at = case when p_closed then coalesce(closed_at, hx_clock()) end,
        as_of = coalesce(p_as_of, as_of),
        updated_at = hx_clock()
    where account_id = p_account and coalesce(p_as_of >= as_of, true)
    returning * into p;
    if p.payouts_enabled then
        perform free_held_payouts(p.user_id);
    end if;
    return jsonb_build_object('subject_id', p.user_id, 'settle', coalesce(p.payouts_enabled, false));
end;
$$;

-- Settlements of this hustler that were held for want of an account go on.
create function free_held_payouts(p_user uuid) returns void
language plpgsql
as $$
declare
    waiting uuid;
begin
    for waiting in
        select s.id
        from settlements as s
        inner join escrows as e on e.id = s.escrow_id
        inner join tasks as t on t.id = e.task_id
        where s.state = 'HELD' and s.release_amount > 0 and not s.transfer_done
            and t.assigned_hustler_id = p_user
            and not settlement_uncovered(s)
        order by s.id
        for update of s
    loop
        update settlements set state = 'PENDING', due_at = hx_clock() where id = waiting;
        perform close_item('SETTLEMENT_HELD', waiting::text);
    end loop;
end;
$$;

-- ── Money that others take back ────────────────────────────────────────────────────────────────
-- Answers of two commands in one transaction, told together.
create function joined_answers(a jsonb, b jsonb) returns jsonb
language sql immutable
return coalesce(a, '{}') || coalesce(b, '{}') || jsonb_build_object(
    'settle', coalesce((a ->> 'settle')::boolean, false) or coalesce((b ->> 'settle')::boolean, false),
    'events', coalesce(a -> 'events', '[]') || coalesce(b -> 'events', '[]'),
    'closed', coalesce(a -> 'closed', '[]') || coalesce(b -> 'closed', '[]'),
    'withdrawn', coalesce(a -> 'withdrawn', '[]') || coalesce(b -> 'withdrawn', '[]')
);

-- Who books a payment and who hears something of it take turns, before any row is locked: one of them
-- sees what the other did.
create function hold_payment_name(p_payment text) returns void
language sql
begin atomic
    select pg_advisory_xact_lock(hashtextextended('payment:' || p_payment, 0));
end;

-- The escrow of a payment, or of a late one that is on its way back, with its task and broadcast, locked
-- in that order; no row for a payment that we do not know.
create function hold_payment(p_payment text) returns escrows
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
-- operator decides. p_free: the taking is over, and what was held goes on.
create function cover_settlement(p_settlement uuid, p_free boolean default false) returns settlements
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
create function cover_escrow(p_escrow uuid, p_free boolean) returns jsonb
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
create function stop_for_taking(p_escrow uuid, p_payment text) returns jsonb
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
create function apply_earlier_facts(p_payment text, p_charge text) returns jsonb
language plpgsql
as $$
declare
    told jsonb;
    answer jsonb;
begin
    for told in
        select p.result from processed_stripe_events as p
        where p.result ->> 'result' = 'UNKNOWN' and p.result ->> 'payment' = p_payment
        union
        select p.result from processed_stripe_events as p
        where p.result ->> 'result' = 'UNKNOWN' and p.result ->> 'charge' = p_charge
    loop
        answer := joined_answers(answer, apply_provider_fact(
            told || jsonb_build_object('payment', p_payment), null
        ));
    end loop;
    return answer;
end;
$$;

-- A payment was just booked: whether money of it had been taken before. The task stops then, as it does
-- for what is told later; null where nothing was taken.
create function stop_for_earlier_taking(p_escrow uuid, p_payment text) returns jsonb
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

-- What lies on the desk about a dispute at the provider, after something was told of it.
create function note_chargeback_items(before chargebacks, c chargebacks, e escrows) returns void
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
    if c.told_lost_at is not null and c.told_won_at is not null
        and (before.told_lost_at is null or before.told_won_at is null)
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
-- or LOST. An inquiry is an item on the desk and moves nothing.
create function book_chargeback(f jsonb, p_told text) returns jsonb
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
            jsonb_build_object('chargeback', f ->> 'reference', 'told', p_told)
        );
        return jsonb_build_object('unknown', true);
    end if;
    perform close_item('UNKNOWN_PAYMENT', f ->> 'payment');
    select * into before from chargebacks where id = f ->> 'reference' for update;
    if before.payment <> f ->> 'payment' then
        return jsonb_build_object('mismatch', true);
    end if;
    insert into chargebacks as had (
        id, escrow_id, payment, amount, told_inquiry_at, told_closed_at, told_disputed_at,
        told_won_at, told_lost_at, closed_at
    )
    select
        f ->> 'reference', e.id, f ->> 'payment', case
            when before.state in ('OPEN', 'WON', 'LOST') then case
                when p_told in ('INQUIRY', 'CLOSED') then before.amount
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
            greatest(before.told_inquiry_at, case p_told when 'INQUIRY' then at end) as inquiry,
            greatest(before.told_closed_at, case p_told when 'CLOSED' then at end) as closed,
            greatest(before.told_disputed_at, case p_told when 'DISPUTED' then at end) as disputed,
            greatest(before.told_won_at, case p_told when 'WON' then at end) as won,
            greatest(before.told_lost_at, case p_told when 'LOST' then at end) as lost
    ) as n
    on conflict (id) do update
    set
        amount = excluded.amount,
        told_inquiry_at = excluded.told_inquiry_at,
        told_closed_at = excluded.told_closed_at,
        told_disputed_at = excluded.told_disputed_at,
        told_won_at = excluded.told_won_at,
        told_lost_at = excluded.told_lost_at,
        closed_at = excluded.closed_at
    returning * into c;
    perform note_chargeback_items(before, c, e);
    if f ? 'unknown_status' then
        perform note_unknown_status(c.id, f ->> 'unknown_status', f);
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
create function book_external_refund(f jsonb, p_state text, p_is_sum boolean) returns jsonb
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
        perform note_unknown_status(r.id, f ->> 'unknown_status', f);
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
create function note_unknown_status(p_subject text, p_status text, p_details jsonb) returns void
language sql
begin atomic
    select open_item('UNKNOWN_STATUS', p_subject || ' ' || p_status, p_details);
end;

-- ── The provider's events ──────────────────────────────────────────────────────────────────────
-- A refund succeeded, failed or is on its way: ours by its settlement, or by the name under which an
-- operator booked it; any other of a payment of ours was made by somebody else.
create function apply_refund_fact(f jsonb, p_state text) returns jsonb
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
                perform note_unknown_status(f ->> 'reference', f ->> 'unknown_status', f);
            end if;
            return jsonb_build_object('subject_id', s.id);
    end case;
end;
$$;

-- The bank sent a refund of ours back.
create function book_failed_refund(p_settlement uuid, f jsonb) returns jsonb
language plpgsql
as $$
declare
    s settlements := hold_settlement_rows(p_settlement);
    told_before boolean := exists (
        select from operator_items as i
        where i.kind = 'REFUND_FAILED' and i.subject = f ->> 'reference'
    );
begin
    -- a failure is told more than once: an old one does not stop the next try
    if s.state <> 'DONE' and not s.refund_done and (
        s.refund_reference = f ->> 'reference' or (s.refund_reference is null and not told_before)
    ) then
        update settlements set refund_reference = null where id = s.id;
        perform hold_settlement(s.id, coalesce(f ->> 'note', 'The refund failed.'));
        perform cover_settlement(s.id);
    end if;
    if not told_before then
        perform open_item('REFUND_FAILED', f ->> 'reference', f);
    end if;
    return jsonb_build_object('subject_id', s.id);
end;
$$;

-- What one fact changes. Amounts that differ from our rows change nothing: a person looks at them.
create function apply_provider_fact(f jsonb, p_plan jsonb) returns jsonb
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
            select * into e from escrows
            where id = (f ->> 'escrow_id')::uuid or stripe_payment_intent_id = f ->> 'payment'
            order by (stripe_payment_intent_id = f ->> 'payment') desc nulls last
            limit 1;
            if e.id is null or e.amount <> (f ->> 'amount_cents')::integer then
                return mismatch;
            end if;
            answer := book_funding(e.id, f ->> 'payment', p_plan);
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
            return note_payout_account(
                f ->> 'account_id', coalesce((f ->> 'payouts_enabled')::boolean, false),
                f ->> 'kind' = 'ACCOUNT_CLOSED', (f ->> 'at')::timestamptz
            );
        when 'UNKNOWN_STATUS' then
            perform note_unknown_status(
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
create function book_provider_event(p_event text, p_type text, p_fact jsonb, p_plan jsonb)
returns jsonb
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform pg_advisory_xact_lock(hashtextextended('provider event:' || p_event, 0));
    if exists (select from processed_stripe_events as p where p.event_id = p_event) then
        return jsonb_build_object('outcome', 'DONE');
    end if;
    answer := apply_provider_fact(p_fact, p_plan);
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

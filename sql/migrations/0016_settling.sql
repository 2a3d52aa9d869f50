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

-- Where a hustler is paid. An account that can be paid again sets free what waited for it.
create function set_payout_account(p_user uuid, p_account text, p_enabled boolean) returns jsonb
language plpgsql
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('payout account:' || p_user, 0));
    insert into payout_accounts (user_id, account_id, payouts_enabled)
    values (p_user, p_account, p_enabled)
    on conflict (user_id) do update
    set account_id = p_account, payouts_enabled = p_enabled, updated_at = hx_clock();
    if p_enabled then
        perform free_held_payouts(p_user);
    end if;
    return jsonb_build_object('subject_id', p_user, 'settle', p_enabled);
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
            and not exists (
                select from chargebacks as c where c.escrow_id = e.id and c.state <> 'WON'
            )
        order by s.id
        for update of s
    loop
        update settlements set state = 'PENDING', due_at = hx_clock() where id = waiting;
        perform close_item('SETTLEMENT_HELD', waiting::text);
    end loop;
end;
$$;

-- ── Chargebacks ────────────────────────────────────────────────────────────────────────────────
-- The poster's bank takes the payment back. Before anybody works for it the task ends; while
-- somebody does, it becomes a dispute with the money locked; a settlement under way is held.
create function open_chargeback(p_id text, p_payment text, p_amount integer) returns jsonb
language plpgsql
as $$
declare
    paid uuid;
    t tasks;
    e escrows;
    s settlements;
begin
    -- the payment of an escrow, or a late one that is on its way back
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
    if e.id is null then
        perform open_item('UNKNOWN_PAYMENT', p_payment, jsonb_build_object('chargeback', p_id));
        return jsonb_build_object('subject_id', null);
    end if;
    insert into chargebacks (id, escrow_id, payment, amount) values (p_id, e.id, p_payment, p_amount)
    on conflict (id) do nothing;
    if not found then
        return jsonb_build_object('task_id', t.id);
    end if;
    perform open_item('CHARGEBACK', p_id, jsonb_build_object(
        'escrow_id', e.id, 'task_id', t.id, 'amount_cents', p_amount, 'escrow_state', e.state
    ));
    select * into s from settlements where escrow_id = e.id and state = 'PENDING' for update;
    if s.id is not null then
        return hold_settlement(s.id, 'A chargeback took the payment.')
            || jsonb_build_object('task_id', t.id);
    end if;
    if e.state = 'FUNDED' and e.is_current and t.state in ('OPEN', 'MATCHING') then
        return end_task(t, 'CANCELLED', null, 'CHARGEBACK');
    end if;
    if e.state = 'FUNDED' and e.is_current and t.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED')
    then
        return open_dispute(
            t, null, 'SYSTEM', 'The poster''s bank took the payment back.', '[]'::jsonb
        );
    end if;
    return jsonb_build_object('task_id', t.id);
end;
$$;

-- The bank has decided. Won: what was held goes on. Lost: the poster has the money already, so a
-- waiting refund of no more than that is done; the rest of a larger one, and paying the hustler all
-- the same, are an operator's decisions.
create function close_chargeback(p_id text, p_state text) returns jsonb
language plpgsql
as $$
declare
    c chargebacks;
    s settlements;
begin
    select * into c from chargebacks where id = p_id;
    if not found then
        perform open_item('UNKNOWN_CHARGEBACK', p_id, jsonb_build_object('state', p_state));
        return jsonb_build_object('subject_id', null);
    end if;
    perform from escrows join tasks on tasks.id = escrows.task_id
    where escrows.id = c.escrow_id
    for no key update of tasks;
    perform from escrows where id = c.escrow_id for update;
    select * into s from settlements where escrow_id = c.escrow_id and state <> 'DONE' for update;
    update chargebacks set state = p_state, closed_at = hx_clock()
    where id = p_id and state = 'OPEN';
    if not found then
        return jsonb_build_object('subject_id', s.id);
    end if;
    if p_state = 'WON' then
        perform close_item('CHARGEBACK', p_id);
        update settlements set state = 'PENDING', due_at = hx_clock()
        where id = s.id and state = 'HELD';
        if found then
            perform close_item('SETTLEMENT_HELD', s.id::text);
        end if;
        return jsonb_build_object('subject_id', s.id, 'settle', s.id is not null);
    end if;
    if s.kind = 'REFUND' and s.refund_amount <= c.amount then
        return book_leg(s.id, 'REFUND', p_id);
    end if;
    return jsonb_build_object('subject_id', s.id);
end;
$$;

-- ── The provider's events ──────────────────────────────────────────────────────────────────────
-- What one fact changes. Amounts that differ from our rows change nothing: a person looks at them.
create function apply_provider_fact(f jsonb, p_plan jsonb) returns jsonb
language plpgsql
as $$
declare
    e escrows;
    s settlements;
    mismatch jsonb := jsonb_build_object('mismatch', true);
begin
    case f ->> 'kind'
        when 'PAYMENT_SUCCEEDED' then
            select * into e from escrows
            where id = (f ->> 'escrow_id')::uuid or stripe_payment_intent_id = f ->> 'payment'
            order by (stripe_payment_intent_id = f ->> 'payment') desc nulls last
            limit 1;
            if e.id is null or e.amount <> (f ->> 'amount_cents')::integer then
                return mismatch;
            end if;
            return book_funding(e.id, f ->> 'payment', p_plan);
        when 'TRANSFER_SUCCEEDED', 'REFUND_SUCCEEDED' then
            select * into s from settlements where id = (f ->> 'settlement_id')::uuid;
            if s.id is null or (f ->> 'amount_cents')::integer <> (
                case f ->> 'kind'
                    when 'TRANSFER_SUCCEEDED' then s.release_amount - s.fee_amount
                    else s.refund_amount
                end
            ) then
                return mismatch;
            end if;
            return book_leg(s.id, split_part(f ->> 'kind', '_', 1), f ->> 'reference');
        when 'TRANSFER_REVERSED' then
            perform open_item('TRANSFER_REVERSED', f ->> 'reference', f);
        when 'REFUND_FAILED' then
            select * into s from settlements where id = (f ->> 'settlement_id')::uuid;
            if s.id is null then
                return mismatch;
            end if;
            s := hold_settlement_rows(s.id);
            -- a failure is told more than once: an old one does not stop the next try
            if s.state <> 'DONE' and not s.refund_done and (
                s.refund_reference = f ->> 'reference'
                or (s.refund_reference is null and not exists (
                    select from operator_items as i
                    where i.kind = 'REFUND_FAILED' and i.subject = f ->> 'reference'
                ))
            ) then
                update settlements set refund_reference = null where id = s.id;
                perform hold_settlement(s.id, coalesce(f ->> 'note', 'The refund failed.'));
            end if;
            if not exists (
                select from operator_items as i
                where i.kind = 'REFUND_FAILED' and i.subject = f ->> 'reference'
            ) then
                perform open_item('REFUND_FAILED', f ->> 'reference', f);
            end if;
        when 'CHARGEBACK_OPENED' then
            return open_chargeback(
                f ->> 'reference', f ->> 'payment', (f ->> 'amount_cents')::integer
            );
        when 'CHARGEBACK_WON', 'CHARGEBACK_LOST' then
            -- the events may come in any order: what was not opened yet is opened first
            return open_chargeback(
                f ->> 'reference', f ->> 'payment', (f ->> 'amount_cents')::integer
            ) || close_chargeback(f ->> 'reference', split_part(f ->> 'kind', '_', 2));
        when 'ACCOUNT_UPDATED' then
            update payout_accounts
            set payouts_enabled = (f ->> 'payouts_enabled')::boolean, updated_at = hx_clock()
            where account_id = f ->> 'account_id';
            if (f ->> 'payouts_enabled')::boolean then
                perform free_held_payouts(p.user_id) from payout_accounts as p
                where p.account_id = f ->> 'account_id';
                return jsonb_build_object('settle', true);
            end if;
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
            when p_fact ->> 'kind' = 'IGNORED' then 'IGNORED'
            else 'APPLIED'
        end)
    );
    return answer - 'mismatch';
end;
$$;

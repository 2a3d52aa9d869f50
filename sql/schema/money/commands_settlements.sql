-- Settlements: queued, and their legs booked as the provider moved them; payout accounts.

-- Queues what has to move, as far as nobody has taken it back: cover_settlement() holds it, or counts
-- what the poster has got already as the refund.
create or replace function queue_settlement(p_escrow uuid, p_kind text, p_release integer, p_refund integer)
returns uuid
language plpgsql
as $$
declare
    made uuid;
begin
    insert into settlements (escrow_id, kind, release_amount, fee_amount, refund_amount)
    values (p_escrow, p_kind, p_release, platform_fee_cents(p_release), p_refund)
    returning id into made;
    perform cover_settlement(made);
    return made;
end;
$$;

-- A payment for an escrow that can no longer take it: it goes back, whole.
create or replace function refund_late_payment(e escrows, p_payment text) returns jsonb
language plpgsql
as $$
begin
    if e.state = 'PENDING' then
        update escrows set state = 'CANCELLED', ended_at = hx_clock(), updated_at = hx_clock()
        where id = e.id;
    end if;
    insert into settlements (escrow_id, kind, refund_amount, payment)
    values (e.id, 'REFUND', e.amount, p_payment)
    on conflict on constraint settlements_one_per_escrow do nothing;
    perform apply_earlier_facts(p_payment, null);
    perform cover_settlement(s.id) from settlements as s where s.escrow_id = e.id;
    return jsonb_build_object('task_id', e.task_id, 'subject_id', e.id, 'settle', true);
end;
$$;

-- The settlement with its task and escrow, locked in that order.
create or replace function hold_settlement_rows(p_settlement uuid) returns settlements
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
create or replace function finish_settlement(s settlements) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    e escrows;
    at timestamptz := hx_clock();
    events jsonb := '[]';
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
        events := book_progress(e.id)
            || hx_event(t.poster_id, 'PAYMENT_CAPTURED', jsonb_build_object(
                'task_id', t.id, 'status', 'PAID', 'payment_id', s.transfer_reference
            ))
            || hx_event(t.assigned_hustler_id, 'PAYMENT_CAPTURED', jsonb_build_object(
                'task_id', t.id, 'status', 'PAID', 'payment_id', s.transfer_reference
            ));
    end if;
    if s.refund_amount > 0 then
        events := events || hx_event(t.poster_id, 'PAYMENT_REFUNDED', jsonb_build_object(
            'task_id', t.id, 'amount_cents', s.refund_amount, 'refund_id', s.refund_reference
        ));
    end if;
    return jsonb_build_object(
        'task_id', t.id,
        'subject_id', s.id,
        'events', append_events(events),
        'withdrawn', case
            when s.release_amount > 0 and t.mode = 'LIVE'
                then withdrawn_unless_active(t.assigned_hustler_id)
            else '[]'
        end
    );
end;
$$;

-- One leg is done. The last one ends the escrow; a repetition changes nothing.
create or replace function book_leg(p_settlement uuid, p_leg text, p_reference text) returns jsonb
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
create or replace function record_leg(p_settlement uuid, p_leg text, p_reference text) returns jsonb
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
create or replace function settlement_failed(p_settlement uuid, p_error text) returns jsonb
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
create or replace function hold_settlement(p_settlement uuid, p_error text) returns jsonb
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
create or replace function hold_unpayable(p_settlement uuid, p_user uuid, p_error text) returns jsonb
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
-- the provider's time of this; null for an admin's word, which any later news replaces.
create or replace function set_payout_account(
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
create or replace function record_payout_account(
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
create or replace function free_held_payouts(p_user uuid) returns void
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

-- Money of a task that ended without work: refunded when held, cancelled when never paid.
create or replace function queue_refund(p_task uuid) returns boolean
language plpgsql
as $$
declare
    e escrows;
    at timestamptz := hx_clock();
begin
    select * into e from escrows where task_id = p_task and is_current for no key update;
    if e.state = 'PENDING' then
        update escrows set state = 'CANCELLED', ended_at = at, updated_at = at where id = e.id;
    elsif e.state in ('FUNDED', 'LOCKED_DISPUTE') then
        perform queue_settlement(e.id, 'REFUND', 0, e.amount);
        return true;
    end if;
    return false;
end;
$$;

-- Holding a task's money, and replacing it where its price changes.
-- An escrow's amount never changes (INV-4). A new price is a replacement escrow, and only booking its
-- payment makes it the current one, writes the task's price and gives the old money back.

-- First half of funding: the intent row, committed before any provider is called. A replacement
-- that waits for its payment comes before the escrow that it takes over from.
create or replace function begin_funding(p_poster uuid, p_task uuid) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    e escrows;
begin
    select * into t from tasks where id = p_task for no key update;
    if not found or t.poster_id <> p_poster then
        perform hx_not_found();
    end if;
    select * into e from escrows
    where task_id = p_task and (is_current or (replaces is not null and state = 'PENDING'))
    order by is_current
    limit 1;
    if t.state in ('CANCELLED', 'EXPIRED') then
        perform hx_refuse('HX001', 'TASK-TERMINAL');
    end if;
    if e.id is null then
        insert into escrows (task_id, amount) values (p_task, t.price) returning * into e;
    end if;
    return jsonb_build_object(
        'id', e.id, 'state', e.state, 'amount', e.amount, 'payment', e.stripe_payment_intent_id,
        'poster_id', t.poster_id,
        'starting', case when e.state = 'PENDING' then starting_task(t, e.amount, 'MATCHING') end
    );
end;
$$;

-- The provider has begun a payment that is not finished: its name is kept, to be looked up.
create or replace function record_payment(p_escrow uuid, p_payment text) returns jsonb
language plpgsql
as $$
declare
    e escrows;
begin
    select * into e from escrows where id = p_escrow for update;
    if e.state = 'PENDING' and e.stripe_payment_intent_id is null then
        update escrows set stripe_payment_intent_id = p_payment, updated_at = hx_clock()
        where id = p_escrow;
    end if;
    return jsonb_build_object('task_id', e.task_id, 'subject_id', e.id);
end;
$$;

-- The provider has given the payment up: the next try to fund the task begins another.
create or replace function drop_payment(p_escrow uuid) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    at timestamptz := hx_clock();
begin
    select tasks.* into t
    from tasks join escrows on escrows.task_id = tasks.id
    where escrows.id = p_escrow
    for no key update of tasks;
    update escrows
    set state = 'CANCELLED', is_current = false, ended_at = at, updated_at = at
    where id = p_escrow and state = 'PENDING' and replaces is null;
    if not found and exists (select from escrows where id = p_escrow and state = 'PENDING') then
        -- a replacement: the price that it was for lapses with it
        return jsonb_build_object('task_id', t.id, 'events', append_events(lapse_proposals(t)));
    end if;
    return jsonb_build_object('task_id', t.id, 'subject_id', p_escrow);
end;
$$;

-- Second half: books the provider's answer. Funding a LIVE task starts its broadcast in here; a paid
-- replacement takes over from the old escrow, whose money goes back, and sets the task's price.
-- Money that comes too late is queued for refund, and what was taken back before we heard of it ends
-- the task like what is taken back later. p_wave: whom the broadcast is offered to at once (first_wave).
create or replace function book_funding(
    p_escrow uuid, p_payment text, p_plan jsonb, p_wave jsonb default null
) returns jsonb
language plpgsql
-- A first card waits for it: planned once on a connection, the first wave's insert with it.
set plan_cache_mode = 'force_generic_plan'
as $$
declare
    t tasks;
    e escrows;
    b live_broadcasts;
    at timestamptz;
    earlier jsonb;
    started jsonb;
begin
    perform hold_payment_name(p_payment);
    select tasks.* into t
    from tasks join escrows on escrows.task_id = tasks.id
    where escrows.id = p_escrow
    for no key update of tasks;
    select * into e from escrows where id = p_escrow for update;
    at := hx_clock();
    if e.state in ('PENDING', 'CANCELLED') and e.stripe_payment_intent_id <> p_payment
        or e.state = 'CANCELLED' and exists (
            select from settlements as s where s.escrow_id = e.id and s.payment <> p_payment
        )
    then
        perform open_item('PAYMENT_MISMATCH', p_payment, jsonb_build_object('escrow_id', e.id));
        return jsonb_build_object('task_id', t.id, 'subject_id', e.id);
    end if;
    if e.state = 'CANCELLED' then
        return refund_late_payment(e, p_payment);
    end if;
    if e.state <> 'PENDING' then
        return jsonb_build_object('task_id', e.task_id, 'subject_id', e.id);
    end if;
    if t.state in ('COMPLETED', 'CANCELLED', 'EXPIRED') then
        return refund_late_payment(e, p_payment);
    end if;
    if e.replaces is not null then
        return book_replacement(t, e, p_payment, p_plan, current_wave(p_wave, t));
    end if;
    update escrows
    set state = 'FUNDED', stripe_payment_intent_id = p_payment, funded_at = at, updated_at = at
    where id = p_escrow;
    delete from timers where kind = 'UNFUNDED' and subject = t.id;
    perform hx_timer('FUNDS_HELD', e.id, at + held_funds_alert_after());
    earlier := stop_for_earlier_taking(p_escrow, p_payment);
    if earlier is not null then
        return earlier || jsonb_build_object('task_id', t.id, 'subject_id', e.id);
    end if;
    if t.mode = 'STANDARD' and not account_is_active(t.poster_id) then
        perform hold_for_admin(t);
    end if;
    if t.mode = 'STANDARD' or t.deadline <= at then
        -- past its deadline nobody can accept: the DEADLINE timer refunds
        return jsonb_build_object('task_id', t.id, 'subject_id', e.id);
    end if;
    b := start_broadcast(t, p_plan);
    if b.id is null then
        return jsonb_build_object('task_id', t.id, 'subject_id', e.id);
    end if;
    started := started_broadcast(b, t, current_wave(p_wave, t));
    return jsonb_build_object(
        'task_id', t.id,
        'subject_id', e.id,
        'started', started,
        'events', append_events(jsonb_build_array(broadcast_event(b.id, t.poster_id)))
    );
end;
$$;

-- The replacement that waits for its payment. One at a time: another price withdraws the earlier one, the
-- same price is the same replacement.
create or replace function replace_escrow(t tasks, p_price integer) returns uuid
language plpgsql
as $$
declare
    held escrows;
    waiting escrows;
    at timestamptz := hx_clock();
begin
    select * into held from escrows where task_id = t.id and is_current for no key update;
    if held.state is distinct from 'FUNDED' then
        perform hx_refuse('HX016', 'FUNDED');
    end if;
    select * into waiting from escrows
    where task_id = t.id and replaces is not null and state = 'PENDING';
    if waiting.amount = p_price then
        return waiting.id;
    end if;
    update escrows set state = 'CANCELLED', ended_at = at, updated_at = at where id = waiting.id;
    delete from timers where kind = 'REPLACEMENT' and subject = waiting.id;
    insert into escrows (task_id, amount, is_current, replaces)
    values (t.id, p_price, false, held.id)
    returning * into waiting;
    perform hx_timer('REPLACEMENT', waiting.id, at + replacement_payment_window());
    return waiting.id;
end;
$$;

-- Books the payment of a replacement, if the task still allows the new price; else it goes back.
create or replace function book_replacement(
    t tasks, e escrows, p_payment text, p_plan jsonb, p_wave jsonb
) returns jsonb
language plpgsql
as $$
declare
    p price_proposals;
    b live_broadcasts;
    held escrows;
    events jsonb := '[]';
    started jsonb := '[]';
    earlier jsonb;
    at timestamptz := hx_clock();
begin
    select * into held from escrows where id = e.replaces for update;
    if not (held.is_current and held.state = 'FUNDED')
        or at > e.created_at + replacement_payment_window()
        or exists (
            select from live_broadcasts as r where r.task_id = t.id and r.state = 'ACTIVE'
        )
        or not (t.state = 'MATCHING' or (t.state = 'ACCEPTED' and t.started_at is null))
    then
        -- cancels this replacement with whatever else was on the table
        events := lapse_proposals(t);
        select * into e from escrows where id = e.id;
        return refund_late_payment(e, p_payment)
            || jsonb_build_object('events', append_events(events));
    end if;
    update escrows
    set state = 'FUNDED', stripe_payment_intent_id = p_payment, funded_at = at, updated_at = at
    where id = e.id;
    update escrows set is_current = false, updated_at = at where id = held.id;
    update escrows set is_current = true where id = e.id;
    perform hx_timer('FUNDS_HELD', e.id, at + held_funds_alert_after());
    update tasks set price = e.amount, updated_at = at where id = t.id returning * into t;
    perform queue_settlement(held.id, 'REFUND', 0, held.amount);
    delete from timers where kind = 'REPLACEMENT' and subject = e.id;
    update price_proposals set state = 'APPLIED', updated_at = at
    where escrow_id = e.id and state = 'AGREED'
    returning * into p;
    if p.id is not null then
        events := proposal_events(p, t);
    end if;
    events := events || price_changed(t, e.amount, true);
    earlier := stop_for_earlier_taking(e.id, p_payment);
    if earlier is not null then
        return joined_answers(earlier, jsonb_build_object(
            'task_id', t.id, 'subject_id', e.id, 'settle', true, 'events', append_events(events)
        ));
    end if;
    if t.state = 'MATCHING' and (t.deadline is null or t.deadline > at) then
        delete from timers where subject = t.id and kind in ('CHOICE', 'CHOICE_REMINDER');
        b := start_broadcast(t, p_plan);
        started := started_broadcast(b, t, p_wave);
        if b.id is not null then
            events := events || broadcast_event(b.id, t.poster_id);
        end if;
    end if;
    return jsonb_build_object(
        'task_id', t.id,
        'subject_id', e.id,
        'settle', true,
        'started', started,
        'events', append_events(events)
    );
end;
$$;

-- A replacement that nobody paid in time.
create or replace function lapse_replacement(t tasks, p_escrow uuid) returns jsonb
language plpgsql
as $$
begin
    if not exists (select from escrows as e where e.id = p_escrow and e.state = 'PENDING') then
        return '[]';
    end if;
    return lapse_proposals(t);
end;
$$;

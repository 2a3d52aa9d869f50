-- Another price for a task: after a broadcast that found nobody, or by agreement before the work.
-- Commands as 0012_telling.sql describes them.
--
-- An escrow's amount never changes (INV-4). A new price is a replacement escrow, and only booking its
-- payment makes it the current one, writes the task's price and gives the old money back.

create function proposal_event(p price_proposals, p_reader uuid) returns jsonb
language sql stable
return hx_event(p_reader, 'PRICE_PROPOSAL', jsonb_build_object(
    'task_id', p.task_id, 'proposal_id', p.id, 'proposer_id', p.proposer_id,
    'price_cents', p.price, 'state', p.state
));

create function proposal_events(p price_proposals, t tasks) returns jsonb
language sql stable
return jsonb_build_array(proposal_event(p, t.poster_id), proposal_event(p, t.assigned_hustler_id));

-- The task moved on: whatever price was on the table lapses, and so does a replacement not yet paid.
create function lapse_proposals(t tasks) returns jsonb
language plpgsql
as $$
declare
    p price_proposals;
    at timestamptz := hx_clock();
begin
    update escrows set state = 'CANCELLED', ended_at = at, updated_at = at
    where task_id = t.id and replaces is not null and state = 'PENDING';
    update price_proposals set state = 'LAPSED', updated_at = at
    where task_id = t.id and state in ('OPEN', 'AGREED')
    returning * into p;
    return case when p.id is null then '[]'::jsonb else proposal_events(p, t) end;
end;
$$;

-- The replacement that waits for its payment, for 15 minutes. One at a time: another price withdraws
-- the earlier one, the same price is the same replacement.
create function replace_escrow(t tasks, p_price integer) returns uuid
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
    perform hx_timer('REPLACEMENT', waiting.id, at + interval '15 minutes');
    return waiting.id;
end;
$$;

-- Books the payment of a replacement, if the task still allows the new price; else it goes back.
create function book_replacement(t tasks, e escrows, p_payment text, p_plan jsonb) returns jsonb
language plpgsql
as $$
declare
    p price_proposals;
    b live_broadcasts;
    held escrows;
    told jsonb := '[]';
    earlier jsonb;
    at timestamptz := hx_clock();
begin
    select * into held from escrows where id = e.replaces for update;
    if not (held.is_current and held.state = 'FUNDED')
        or at > e.created_at + interval '15 minutes'
        or exists (
            select from live_broadcasts as r where r.task_id = t.id and r.state = 'ACTIVE'
        )
        or not (t.state = 'MATCHING' or (t.state = 'ACCEPTED' and t.started_at is null))
    then
        -- cancels this replacement with whatever else was on the table
        told := lapse_proposals(t);
        select * into e from escrows where id = e.id;
        return give_back_late(e, p_payment)
            || jsonb_build_object('events', append_events(told));
    end if;
    update escrows
    set state = 'FUNDED', stripe_payment_intent_id = p_payment, funded_at = at, updated_at = at
    where id = e.id;
    update escrows set is_current = false, updated_at = at where id = held.id;
    update escrows set is_current = true where id = e.id;
    perform hx_timer('FUNDS_HELD', e.id, at + interval '60 days');
    update tasks set price = e.amount, updated_at = at where id = t.id returning * into t;
    perform queue_settlement(held.id, 'REFUND', 0, held.amount);
    delete from timers where kind = 'REPLACEMENT' and subject = e.id;
    update price_proposals set state = 'APPLIED', updated_at = at
    where escrow_id = e.id and state = 'AGREED'
    returning * into p;
    if p.id is not null then
        told := proposal_events(p, t);
    end if;
    told := told || price_changed(t, e.amount, true);
    earlier := stop_for_earlier_taking(e.id, p_payment);
    if earlier is not null then
        return joined_answers(earlier, jsonb_build_object(
            'task_id', t.id, 'subject_id', e.id, 'settle', true, 'events', append_events(told)
        ));
    end if;
    if t.state = 'MATCHING' and (t.deadline is null or t.deadline > at) then
        delete from timers where subject = t.id and kind in ('CHOICE', 'CHOICE_REMINDER');
        b := start_broadcast(t, p_plan);
        if b.id is not null then
            told := told || broadcast_event(b.id, t.poster_id);
        end if;
    end if;
    return jsonb_build_object(
        'task_id', t.id,
        'subject_id', e.id,
        'settle', true,
        'started', case when b.id is null then '[]' else jsonb_build_array(b.id) end,
        'events', append_events(told)
    );
end;
$$;

create function price_changed(t tasks, p_amount integer, p_updated boolean) returns jsonb
language plpgsql
as $$
declare
    told jsonb := '[]';
    reader uuid;
begin
    foreach reader in array array_remove(array[t.poster_id, t.assigned_hustler_id], null) loop
        told := told || hx_event(reader, 'PRICE_CHANGED', jsonb_build_object(
            'task_id', t.id, 'new_amount_cents', p_amount, 'payment_intent_updated', p_updated
        ));
    end loop;
    return told;
end;
$$;

-- Either side of an accepted task, before the start code.
create function propose_price(p_user uuid, p_task uuid, p_price integer) returns jsonb
language plpgsql
as $$
declare
    t tasks := side_task(p_user, p_task);
    p price_proposals;
    told jsonb;
begin
    if t.state <> 'ACCEPTED' or t.started_at is not null then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if p_price = t.price then
        raise exception using
            errcode = 'check_violation',
            constraint = 'other_price',
            message = 'That is the price already.';
    end if;
    if t.mode = 'LIVE' and p_price < 1500 then
        perform hx_refuse('HX902', 'LIVE-2');
    end if;
    select * into p from price_proposals
    where task_id = p_task and state in ('OPEN', 'AGREED');
    if p.state = 'OPEN' and (p.proposer_id, p.price) = (p_user, p_price) then
        return jsonb_build_object('task_id', p_task, 'subject_id', p.id);
    end if;
    -- a new word takes the earlier one off the table
    told := lapse_proposals(t);
    insert into price_proposals (task_id, proposer_id, price) values (p_task, p_user, p_price)
    returning * into p;
    return jsonb_build_object(
        'task_id', p_task, 'subject_id', p.id, 'events', append_events(told || proposal_events(p, t))
    );
end;
$$;

-- The other side agrees, and a replacement escrow waits for the poster's payment; or somebody
-- declines: the other side, or the proposer who takes it back.
create function answer_proposal(p_user uuid, p_task uuid, p_proposal uuid, p_agrees boolean)
returns jsonb
language plpgsql
as $$
declare
    t tasks := side_task(p_user, p_task);
    p price_proposals;
    goal text := case when p_agrees then 'AGREED' else 'DECLINED' end;
    told jsonb;
begin
    select * into p from price_proposals where id = p_proposal and task_id = p_task;
    if not found then
        perform hx_not_found();
    end if;
    if p_agrees and p.proposer_id = p_user then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
    if p.state = goal or (p_agrees and p.state = 'APPLIED') then
        return jsonb_build_object('task_id', p_task, 'subject_id', p.id);
    end if;
    if p.state <> 'OPEN' then
        perform hx_refuse('HX010', 'PROPOSAL');
    end if;
    update price_proposals
    set
        state = goal,
        escrow_id = case when p_agrees then replace_escrow(t, p.price) end,
        updated_at = hx_clock()
    where id = p.id
    returning * into p;
    told := proposal_events(p, t);
    if p_agrees then
        told := told || price_changed(t, p.price, false);
    end if;
    return jsonb_build_object(
        'task_id', p_task, 'subject_id', p.id, 'events', append_events(told)
    );
end;
$$;

create function proposal_view(p price_proposals) returns jsonb
language sql stable
return jsonb_build_object(
    'id', p.id,
    'task_id', p.task_id,
    'proposer_id', p.proposer_id,
    'price_cents', p.price,
    'state', p.state,
    'created_at', p.created_at,
    'escrow', (
        select jsonb_build_object('id', e.id, 'state', e.state, 'amount_cents', e.amount)
        from escrows as e where e.id = p.escrow_id
    )
);

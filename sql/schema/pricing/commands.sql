-- Another price for a task: after a broadcast that found nobody, or by agreement before the work.

-- The task moved on: whatever price was on the table lapses, and so does a replacement not yet paid.
create or replace function lapse_proposals(t tasks) returns jsonb
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

create or replace function price_changed(t tasks, p_amount integer, p_updated boolean) returns jsonb
language plpgsql
as $$
declare
    events jsonb := '[]';
    reader uuid;
begin
    foreach reader in array array_remove(array[t.poster_id, t.assigned_hustler_id], null) loop
        events := events || hx_event(reader, 'PRICE_CHANGED', jsonb_build_object(
            'task_id', t.id, 'new_amount_cents', p_amount, 'payment_intent_updated', p_updated
        ));
    end loop;
    return events;
end;
$$;

-- Either side of an accepted task, before the start code.
create or replace function propose_price(p_user uuid, p_task uuid, p_price integer) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_party(p_user, p_task);
    p price_proposals;
    events jsonb;
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
    if t.mode = 'LIVE' and p_price < live_price_min_cents() then
        perform hx_refuse('HX902', 'LIVE-2');
    end if;
    select * into p from price_proposals
    where task_id = p_task and state in ('OPEN', 'AGREED');
    if p.state = 'OPEN' and (p.proposer_id, p.price) = (p_user, p_price) then
        return jsonb_build_object('task_id', p_task, 'subject_id', p.id);
    end if;
    -- a new word takes the earlier one off the table
    events := lapse_proposals(t);
    insert into price_proposals (task_id, proposer_id, price) values (p_task, p_user, p_price)
    returning * into p;
    return jsonb_build_object(
        'task_id', p_task, 'subject_id', p.id, 'events', append_events(events || proposal_events(p, t))
    );
end;
$$;

-- The other side agrees, and a replacement escrow waits for the poster's payment; or somebody
-- declines: the other side, or the proposer who takes it back.
create or replace function answer_proposal(p_user uuid, p_task uuid, p_proposal uuid, p_agrees boolean)
returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_party(p_user, p_task);
    p price_proposals;
    goal text := case when p_agrees then 'AGREED' else 'DECLINED' end;
    events jsonb;
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
    events := proposal_events(p, t);
    if p_agrees then
        events := events || price_changed(t, p.price, false);
    end if;
    return jsonb_build_object(
        'task_id', p_task, 'subject_id', p.id, 'events', append_events(events)
    );
end;
$$;

-- From arrival to payout.
-- Commands as 0012_telling.sql describes them.

-- The task, locked, as its hustler; strangers learn nothing.
create function hold_task(p_hustler uuid, p_task uuid) returns tasks
language plpgsql
as $$
declare
    t tasks;
begin
    select * into t from tasks where id = p_task for no key update;
    if not found or t.assigned_hustler_id is distinct from p_hustler then
        perform hx_not_found();
    end if;
    return t;
end;
$$;

create function own_task(p_poster uuid, p_task uuid) returns tasks
language plpgsql
as $$
declare
    t tasks;
begin
    select * into t from tasks where id = p_task for no key update;
    if not found or (
        t.poster_id <> p_poster and t.assigned_hustler_id is distinct from p_poster
    ) then
        perform hx_not_found();
    end if;
    if t.poster_id <> p_poster then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
    return t;
end;
$$;

create function mark_arrived(p_hustler uuid, p_task uuid) returns jsonb
language plpgsql
as $$
declare
    t tasks := hold_task(p_hustler, p_task);
    at timestamptz := hx_clock();
begin
    if t.arrived_at is not null then
        return accept_outcome('DONE', p_task);
    end if;
    if t.state <> 'ACCEPTED' then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    update tasks set arrived_at = at, updated_at = at where id = p_task returning * into t;
    return jsonb_build_object('task_id', p_task, 'events', append_events(task_events(t, null, null)));
end;
$$;

-- Counts a try of a code. Null: the code was right. Else what to refuse, after the commit.
-- Five wrong tries lock it for 15 minutes, a right one included (design §2, Codes).
create function code_refused(p_task uuid, p_kind text, p_correct boolean) returns jsonb
language plpgsql
as $$
declare
    c task_codes;
    at timestamptz := hx_clock();
begin
    select * into c from task_codes where task_id = p_task and kind = p_kind for update;
    if c.locked_until > at then
        return jsonb_build_object(
            'code', 'HX018', 'invariant', 'CODE-LOCKED',
            'retry_after_s', ceil(extract(epoch from c.locked_until - at))
        );
    end if;
    if p_correct then
        return null;
    end if;
    update task_codes
    set
        tries = case when tries + 1 >= 5 then 0 else tries + 1 end,
        locked_until = case when tries + 1 >= 5 then at + interval '15 minutes' end
    where task_id = p_task and kind = p_kind;
    return jsonb_build_object('code', 'HX018', 'invariant', 'CODE-WRONG');
end;
$$;

create function start_task(p_hustler uuid, p_task uuid, p_correct boolean) returns jsonb
language plpgsql
as $$
declare
    t tasks := hold_task(p_hustler, p_task);
    at timestamptz;
    refused jsonb;
begin
    if t.started_at is not null and t.state not in ('CANCELLED', 'EXPIRED') then
        return accept_outcome('DONE', p_task);
    end if;
    if t.state <> 'ACCEPTED' then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    refused := code_refused(p_task, 'START', p_correct);
    if refused is not null then
        return jsonb_build_object('task_id', p_task, 'refused', refused);
    end if;
    at := hx_clock();
    perform hx_act(p_hustler, null);
    update tasks
    set state = 'WORKING', arrived_at = coalesce(arrived_at, at), started_at = at, updated_at = at
    where id = p_task
    returning * into t;
    return jsonb_build_object('task_id', p_task, 'events', append_events(task_events(
        t, 'JOB_STARTED', jsonb_build_object('status', 'IN_PROGRESS', 'started_at', at)
    )));
end;
$$;

-- The completion code is a proof of kind CODE; a task that asks for no proof takes kind NONE.
create function submit_proof(
    p_hustler uuid, p_task uuid, p_kind text, p_correct boolean
) returns jsonb
language plpgsql
as $$
declare
    t tasks := hold_task(p_hustler, p_task);
    at timestamptz;
    refused jsonb;
    made uuid;
begin
    if t.state not in ('ACCEPTED', 'WORKING') then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if p_kind = 'NONE' and t.requires_proof then
        perform hx_refuse('HX301', 'INV-3');
    end if;
    if p_kind = 'CODE' then
        refused := code_refused(p_task, 'COMPLETION', p_correct);
        if refused is not null then
            return jsonb_build_object('task_id', p_task, 'refused', refused);
        end if;
    end if;
    at := hx_clock();
    perform hx_act(p_hustler, null);
    insert into proofs (task_id, hustler_id, kind, submitted_at)
    values (p_task, p_hustler, p_kind, at)
    returning id into made;
    update tasks set state = 'PROOF_SUBMITTED', updated_at = at where id = p_task returning * into t;
    -- unreviewed for 48 h counts as approved (product_spec §6.4)
    perform hx_timer('REVIEW', p_task, at + interval '48 hours');
    return jsonb_build_object(
        'task_id', p_task,
        'subject_id', made,
        'events', append_events(task_events(
            t, 'JOB_COMPLETED', jsonb_build_object('status', 'COMPLETED_BY_HUSTLER')
        ))
    );
end;
$$;

create function complete_task(t tasks, p_actor uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    e escrows;
begin
    update proofs set state = 'ACCEPTED', reviewed_at = at
    where task_id = t.id and state = 'SUBMITTED';
    perform hx_act(p_actor, p_reason);
    update tasks set state = 'COMPLETED', completed_at = at, updated_at = at
    where id = t.id
    returning * into t;
    delete from timers where kind = 'REVIEW' and subject = t.id;
    select * into e from escrows where task_id = t.id and is_current for no key update;
    insert into settlements (escrow_id, kind, amount, fee_amount)
    values (e.id, 'RELEASE', e.amount, platform_fee_cents(e.amount));
    return jsonb_build_object(
        'task_id', t.id, 'settle', true, 'events', append_events(task_events(t, null, null))
    );
end;
$$;

create function approve_task(p_poster uuid, p_task uuid) returns jsonb
language plpgsql
as $$
declare
    t tasks := own_task(p_poster, p_task);
begin
    if t.state = 'COMPLETED' then
        return accept_outcome('DONE', p_task);
    end if;
    if t.state <> 'PROOF_SUBMITTED' then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return complete_task(t, p_poster, null);
end;
$$;

-- Books the provider's success: only here does an escrow end, so RELEASED means the money moved.
create function book_settlement(p_settlement uuid, p_reference text) returns jsonb
language plpgsql
as $$
declare
    w settlements;
    e escrows;
    t tasks;
    at timestamptz;
begin
    select tasks.* into t
    from settlements
    join escrows on escrows.id = settlements.escrow_id
    join tasks on tasks.id = escrows.task_id
    where settlements.id = p_settlement
    for no key update of tasks;
    select escrows.* into e
    from settlements join escrows on escrows.id = settlements.escrow_id
    where settlements.id = p_settlement
    for update of escrows;
    select * into w from settlements where id = p_settlement for update;
    if w.state = 'DONE' then
        return accept_outcome('DONE', t.id);
    end if;
    at := hx_clock();
    update settlements set state = 'DONE', done_at = at, last_error = null where id = w.id;
    if w.kind = 'REFUND' and e.state = 'CANCELLED' then
        return accept_outcome('DONE', t.id);  -- a late payment: its escrow never held it
    end if;
    if w.kind = 'REFUND' then
        update escrows
        set
            state = 'REFUNDED', refund_amount = amount, stripe_refund_id = p_reference,
            ended_at = at, updated_at = at
        where id = e.id;
        return accept_outcome('DONE', t.id);
    end if;
    update escrows
    set
        state = 'RELEASED', release_amount = amount, fee_amount = w.fee_amount,
        stripe_transfer_id = p_reference, ended_at = at, updated_at = at
    where id = e.id;
    return jsonb_build_object('task_id', t.id, 'events', append_events(jsonb_build_array(
        hx_event(t.poster_id, 'PAYMENT_CAPTURED', jsonb_build_object(
            'task_id', t.id, 'status', 'PAID', 'payment_id', p_reference
        )),
        hx_event(t.assigned_hustler_id, 'PAYMENT_CAPTURED', jsonb_build_object(
            'task_id', t.id, 'status', 'PAID', 'payment_id', p_reference
        ))
    )));
end;
$$;

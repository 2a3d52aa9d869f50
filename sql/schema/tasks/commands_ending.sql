-- Every way of ending without work, and the successor that takes over.

-- Ends a task without pay. p_state is CANCELLED or EXPIRED, p_told what else is to be told; the
-- caller holds the task's lock.
create or replace function end_task(
    t tasks, p_state text, p_actor uuid, p_reason text, p_note text default null,
    p_events jsonb default '[]'
) returns jsonb
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    b live_broadcasts;
    events jsonb;
    settle boolean;
begin
    select * into b from live_broadcasts
    where task_id = t.id and state = 'ACTIVE'
    for no key update;
    perform set_actor(p_actor, coalesce(p_note, p_reason));
    update tasks set state = p_state, cancel_reason = p_reason, updated_at = at
    where id = t.id
    returning * into t;
    settle := queue_refund(t.id);
    delete from timers where subject in (t.id, b.id);
    perform close_item('POSTER_SUSPENDED', t.id::text);
    events := p_events || lapse_proposals(t) || task_events(t, 'JOB_CANCELLED', jsonb_strip_nulls(jsonb_build_object(
        'status', 'CANCELLED', 'reason', p_reason, 'note', p_note
    )));
    if b.id is not null then
        events := events || broadcast_event(b.id, t.poster_id);
    end if;
    return jsonb_build_object(
        'task_id', t.id,
        'settle', settle,
        'events', append_events(events),
        'closed', case when b.id is null then '[]' else jsonb_build_array(closed_broadcast(
            b.id, t.id, case p_state when 'EXPIRED' then 'EXPIRED' else 'CANCELLED' end
        )) end
    );
end;
$$;

create or replace function cancel_task(p_poster uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_poster(p_poster, p_task);
    at timestamptz := hx_clock();
begin
    if t.state = 'CANCELLED' then
        return accept_outcome('DONE', p_task);
    end if;
    if t.state in ('EXPIRED', 'COMPLETED') then
        perform hx_refuse('HX001', 'TASK-TERMINAL');
    end if;
    -- full refund until the hustler's arrival is recorded; afterwards only a dispute
    if t.state not in ('OPEN', 'MATCHING', 'ACCEPTED') or t.arrived_at is not null then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if t.state = 'ACCEPTED' and p_reason = 'NO_SHOW' then
        if at < no_show_from(t) then
            perform hx_refuse('HX010', 'NO-SHOW', no_show_from(t));
        end if;
        -- the money before the people, as everywhere
        perform from escrows where task_id = p_task and is_current for no key update;
        return end_task(
            t, 'CANCELLED', p_poster, 'NO_SHOW', null, record_given_up(p_task, 'NO_SHOW', at)
        ) || jsonb_build_object('withdrawn', withdrawn_unless_active(t.assigned_hustler_id));
    end if;
    return end_task(t, 'CANCELLED', p_poster, 'POSTER_CANCELLED', p_reason);
end;
$$;

-- The one function that ends a task in favour of its successor and moves the FUNDED escrow.
-- The caller holds the task's lock; no broadcast of it is active.
create or replace function succeed_task(t tasks, p_mode text, p_actor uuid, p_reason text) returns tasks
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    successor tasks;
begin
    perform set_actor(p_actor, p_reason);
    update tasks set state = 'CANCELLED', cancel_reason = p_reason, updated_at = at where id = t.id;
    successor := insert_task(t.poster_id, p_mode, terms_of(t), t.id);
    update escrows set state = 'CANCELLED', ended_at = at, updated_at = at
    where task_id = t.id and replaces is not null and state = 'PENDING';
    update escrows set task_id = successor.id, updated_at = at where task_id = t.id and is_current;
    delete from timers where subject = t.id;
    return successor;
end;
$$;

-- The hustler gives the task back: a successor with the same escrow is on offer at once, p_wave first.
create or replace function release_task(
    p_hustler uuid, p_task uuid, p_reason text, p_plan jsonb, p_wave jsonb default null
) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_hustler(p_hustler, p_task);
    successor tasks;
    b live_broadcasts;
    events jsonb;
    started jsonb := '[]';
    wave jsonb := current_wave(p_wave, t);
    at timestamptz := hx_clock();
begin
    if t.state = 'CANCELLED' and t.cancel_reason = 'HUSTLER_RELEASED' then
        return accept_outcome('DONE', p_task);
    end if;
    if t.state <> 'ACCEPTED' then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    -- the money before the people, as everywhere
    perform from escrows where task_id = p_task and is_current for no key update;
    -- at first free, later an abandonment (design §2)
    events := record_given_up(
        p_task, case when at <= t.accepted_at + free_release_window() then 'QUICK' else 'RELEASED' end, at
    );
    if t.deadline <= at then
        -- nobody could accept a successor any more
        return end_task(t, 'CANCELLED', p_hustler, 'HUSTLER_RELEASED', p_reason, events)
            || jsonb_build_object('withdrawn', withdrawn_unless_active(p_hustler));
    end if;
    events := events || lapse_proposals(t);
    successor := succeed_task(t, t.mode, p_hustler, 'HUSTLER_RELEASED');
    select * into t from tasks where id = p_task;
    events := events || task_events(t, 'JOB_CANCELLED', jsonb_strip_nulls(jsonb_build_object(
        'status', 'CANCELLED', 'reason', 'HUSTLER_RELEASED', 'note', p_reason,
        'successor_id', successor.id
    )));
    if successor.mode = 'LIVE' then
        b := start_broadcast(successor, p_plan);
        started := started_broadcast(b, successor, wave);
        if b.id is not null then
            events := events || broadcast_event(b.id, successor.poster_id);
        end if;
    elsif not account_is_active(successor.poster_id) then
        perform hold_for_admin(successor);
    end if;
    return jsonb_build_object(
        'task_id', p_task,
        'subject_id', successor.id,
        'events', append_events(events),
        'withdrawn', withdrawn_unless_active(p_hustler),
        'started', started
    );
end;
$$;

-- After a broadcast nobody accepted: the work joins the feed, or is offered again for a higher price
-- once the replacement escrow is paid, or the poster gets the money back.
create or replace function choose_after_broadcast(
    p_poster uuid, p_task uuid, p_choice text, p_price integer
) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_poster(p_poster, p_task);
    successor tasks;
begin
    select * into successor from tasks where predecessor_id = p_task;
    if t.state = 'CANCELLED' and (
        (p_choice = 'SWITCH_TO_STANDARD' and successor.mode = 'STANDARD')
        or (p_choice = 'CANCEL' and successor.id is null)
    ) then
        return jsonb_build_object('task_id', p_task, 'subject_id', successor.id);
    end if;
    if t.state <> 'MATCHING' or exists (
        select from live_broadcasts as b where b.task_id = p_task and b.state = 'ACTIVE'
    ) or not exists (
        -- paid while the poster's account was shut, it never had a broadcast
        select from escrows as e where e.task_id = p_task and e.is_current and e.state = 'FUNDED'
    ) then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if p_choice = 'CANCEL' then
        return end_task(t, 'CANCELLED', p_poster, 'POSTER_CANCELLED');
    end if;
    if p_choice = 'INCREASE_PRICE' then
        if p_price is null or p_price <= t.price then
            raise exception using
                errcode = 'check_violation',
                constraint = 'increase_price',
                message = 'The new price is above the present one.';
        end if;
        return jsonb_build_object('task_id', p_task, 'subject_id', replace_escrow(t, p_price));
    end if;
    successor := succeed_task(t, 'STANDARD', p_poster, 'SWITCHED_TO_STANDARD');
    select * into t from tasks where id = p_task;
    return jsonb_build_object(
        'task_id', p_task,
        'subject_id', successor.id,
        'events', append_events(task_events(t, 'JOB_CANCELLED', jsonb_build_object(
            'status', 'CANCELLED', 'reason', 'SWITCHED_TO_STANDARD', 'successor_id', successor.id
        )))
    );
end;
$$;

create or replace function remind_of_choice(t tasks) returns jsonb
language plpgsql
as $$
declare
    ended timestamptz;
begin
    select max(b.expires_at) into ended from live_broadcasts as b where b.task_id = t.id;
    if hx_clock() < ended + choice_last_reminder() then
        perform hx_timer('CHOICE_REMINDER', t.id, ended + choice_last_reminder());
    end if;
    return jsonb_build_object('events', append_events(jsonb_build_array(reminder(
        t.poster_id, 'CHOICE', t.id,
        format(
            'Nobody has accepted your task. You can list it as a standard task, raise the price, or'
            ' cancel it with a full refund. Without a choice within %s hours it is cancelled.',
            extract(epoch from choice_window())::integer / 3600
        )
    ))));
end;
$$;

-- A task, posted, edited, and worked on until the proof.

-- A transition, told to both sides, with the published event beside it (job_state_sync).
create or replace function task_events(t tasks, p_type text, p_data jsonb) returns jsonb
language plpgsql
as $$
declare
    events jsonb := '[]';
    reader uuid;
    status jsonb := task_status(t);
begin
    foreach reader in array array_remove(array[t.poster_id, t.assigned_hustler_id], null) loop
        events := events || hx_event(reader, 'TASK_STATUS_UPDATE', status);
        if p_type is not null then
            events := events
                || hx_event(reader, p_type, jsonb_build_object('task_id', t.id) || p_data);
        end if;
    end loop;
    return events;
end;
$$;

create or replace function check_deadline(p_deadline timestamptz) returns void
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
begin
    if p_deadline not between at and at + task_deadline_max() then
        raise exception using
            errcode = 'check_violation',
            constraint = 'tasks_deadline_ahead',
            message = 'A deadline lies between now and a year from now.';
    end if;
end;
$$;

create or replace function create_task(p_poster uuid, p_draft jsonb) returns jsonb
language plpgsql
as $$
declare
    made tasks;
begin
    if not exists (
        select from users as u
        where u.id = p_poster and may_post(u.role) and u.account_status = 'ACTIVE'
    ) then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
    perform check_deadline((p_draft ->> 'deadline')::timestamptz);
    perform set_actor(p_poster, null);
    made := insert_task(
        p_poster, p_draft ->> 'mode', jsonb_populate_record(null::task_terms, p_draft)
    );
    perform hx_timer('UNFUNDED', made.id, made.created_at + funding_window());
    return jsonb_build_object('task_id', made.id);
end;
$$;

-- Changes a task's terms: all but the mode before it is funded, title and description until the work
-- begins. HX019 for the rest, by the guard of 0004. p_changes holds the fields that change.
create or replace function edit_task(
    p_poster uuid, p_task uuid, p_changes jsonb, p_version integer
) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_poster(p_poster, p_task);
    at timestamptz := hx_clock();
    before tasks := t;
begin
    if t.state in ('COMPLETED', 'CANCELLED', 'EXPIRED') then
        perform hx_refuse('HX001', 'TASK-TERMINAL');
    end if;
    if t.version <> p_version then
        perform hx_refuse('HX010', 'VERSION');
    end if;
    perform check_deadline((p_changes ->> 'deadline')::timestamptz);
    if (p_changes ->> 'price')::integer <> t.price then
        -- a payment that was begun for the old price is given back when it comes
        update escrows
        set state = 'CANCELLED', is_current = false, ended_at = at, updated_at = at
        where task_id = p_task and is_current and state = 'PENDING';
    end if;
    t := update_terms(p_task, jsonb_populate_record(terms_of(t), p_changes), at);
    if t.version = before.version then
        return accept_outcome('DONE', p_task);
    end if;
    -- one that has passed and was told stays so
    if t.deadline is distinct from before.deadline then
        delete from timers where kind = 'DEADLINE' and subject = p_task;
        if t.deadline is not null then
            perform hx_timer('DEADLINE', p_task, t.deadline);
        end if;
    end if;
    return jsonb_build_object('task_id', p_task, 'events', append_events(task_events(t, null, null)));
end;
$$;

-- The task, locked, as its hustler; strangers learn nothing.
create or replace function lock_task_as_hustler(p_hustler uuid, p_task uuid) returns tasks
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

create or replace function lock_task_as_poster(p_poster uuid, p_task uuid) returns tasks
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

-- The task, locked, as one of its two sides.
create or replace function lock_task_as_party(p_user uuid, p_task uuid) returns tasks
language plpgsql
as $$
declare
    t tasks;
begin
    select * into t from tasks where id = p_task for no key update;
    if not found or p_user not in (t.poster_id, coalesce(t.assigned_hustler_id, t.poster_id)) then
        perform hx_not_found();
    end if;
    return t;
end;
$$;

-- The arrival of the caller: by a position (degrees, and its age in seconds) that shows it, or, where
-- no position of the last 5 minutes is known, as a claim that changes nothing for the poster.
-- HX021 where the position says that the caller is elsewhere.
create or replace function mark_arrived(
    p_hustler uuid, p_task uuid, p_lat double precision, p_lng double precision,
    p_age_s double precision
) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_hustler(p_hustler, p_task);
    at timestamptz := hx_clock();
    away_m double precision;
begin
    if t.arrived_at is not null then
        return accept_outcome('DONE', p_task);
    end if;
    if t.state <> 'ACCEPTED' then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if p_age_s <= extract(epoch from arrival_fix_age_max()) then
        away_m := 1609.344 * miles_between(p_lat, p_lng, t.location_lat, t.location_lng);
    end if;
    if away_m > arrival_radius_m() then
        perform hx_refuse('HX021', 'ARRIVAL');
    end if;
    if away_m is null then
        return jsonb_build_object('task_id', p_task, 'events', append_events(claim_arrival(t, at)));
    end if;
    insert into arrivals (task_id, hustler_id, evidence, at, distance_m, fixed_at)
    values (
        p_task, p_hustler, 'POSITION', at, away_m,
        at - make_interval(secs => greatest(p_age_s, 0))
    );
    update tasks set arrived_at = at, updated_at = at where id = p_task returning * into t;
    return jsonb_build_object('task_id', p_task, 'events', append_events(task_events(t, null, null)));
end;
$$;

-- The hustler's word: kept once, and the poster is asked to look.
create or replace function claim_arrival(t tasks, at timestamptz) returns jsonb
language plpgsql
as $$
begin
    insert into arrivals (task_id, hustler_id, evidence, at)
    values (t.id, t.assigned_hustler_id, 'CLAIM', at)
    on conflict do nothing;
    if not found then
        return '[]';
    end if;
    return jsonb_build_array(reminder(
        t.poster_id, 'ARRIVAL_CLAIMED', t.id,
        'Your hustler says that they have arrived. Give them the start code when you have met.'
    ));
end;
$$;

-- Counts a try of a code. Null: the code was right. Else what to refuse, after the commit.
-- Too many wrong tries lock it for a while, for a right one too (design §2, Codes).
create or replace function code_refused(p_task uuid, p_kind text, p_correct boolean) returns jsonb
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
        tries = case when tries + 1 >= code_tries_max() then 0 else tries + 1 end,
        locked_until = case when tries + 1 >= code_tries_max() then at + code_lock() end
    where task_id = p_task and kind = p_kind;
    return jsonb_build_object('code', 'HX018', 'invariant', 'CODE-WRONG');
end;
$$;

create or replace function start_task(p_hustler uuid, p_task uuid, p_correct boolean) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_hustler(p_hustler, p_task);
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
    insert into arrivals (task_id, hustler_id, evidence, at) values (p_task, p_hustler, 'START_CODE', at);
    perform set_actor(p_hustler, null);
    update tasks
    set state = 'WORKING', arrived_at = coalesce(arrived_at, at), started_at = at, updated_at = at
    where id = p_task
    returning * into t;
    -- the price is fixed from here on, and a day without a proof is an admin's business
    perform hx_timer('WORKING_STALE', p_task, at + work_stale_after());
    return jsonb_build_object(
        'task_id', p_task,
        -- at work on any task nobody is offered another
        'withdrawn', jsonb_build_array(p_hustler),
        'events', append_events(
            lapse_proposals(t) || task_events(
                t, 'JOB_STARTED', jsonb_build_object('status', 'IN_PROGRESS', 'started_at', at)
            )
        )
    );
end;
$$;

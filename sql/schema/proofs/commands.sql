-- Proofs: handed in, approved, turned down.

-- A proof is in: the task waits for its poster (product_spec §6.4), who is reminded before silence counts
-- as an approval.
create or replace function finish_submission(t tasks, p_proof uuid, at timestamptz) returns jsonb
language plpgsql
as $$
begin
    perform set_actor(t.assigned_hustler_id, null);
    update tasks
    set state = 'PROOF_SUBMITTED', arrived_at = coalesce(arrived_at, at), updated_at = at
    where id = t.id
    returning * into t;
    perform hx_timer('REVIEW', t.id, at + review_window());
    perform hx_timer('REVIEW_REMINDER', t.id, at + review_first_reminder());
    delete from timers where kind = 'WORKING_STALE' and subject = t.id;
    perform close_item('WORKING_STALE', t.id::text);
    return jsonb_build_object(
        'task_id', t.id,
        'subject_id', p_proof,
        'events', append_events(lapse_proposals(t) || task_events(
            t, 'JOB_COMPLETED', jsonb_build_object('status', 'COMPLETED_BY_HUSTLER')
        ))
    );
end;
$$;

-- The completion code is a proof of kind CODE; a task that asks for no proof takes kind NONE.
create or replace function submit_proof(
    p_hustler uuid, p_task uuid, p_kind text, p_correct boolean
) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_hustler(p_hustler, p_task);
    at timestamptz;
    refused jsonb;
    made uuid;
begin
    if t.state not in ('ACCEPTED', 'WORKING') then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if p_kind = 'CODE' then
        refused := code_refused(p_task, 'COMPLETION', p_correct);
        if refused is not null then
            return jsonb_build_object('task_id', p_task, 'refused', refused);
        end if;
    end if;
    at := hx_clock();
    if p_kind = 'CODE' and t.arrived_at is null then
        -- only the poster has the code to give
        insert into arrivals (task_id, hustler_id, evidence, at)
        values (p_task, p_hustler, 'COMPLETION_CODE', at);
    end if;
    insert into proofs (task_id, hustler_id, kind, state, submitted_at, review_deadline)
    values (p_task, p_hustler, p_kind, 'SUBMITTED', at, at + review_window())
    returning id into made;
    return finish_submission(t, made, at);
end;
$$;

-- Photos as proof: the hustler's own uploads, at least as many as the task asks for.
create or replace function submit_photo_proof(p_hustler uuid, p_task uuid, p_uploads uuid[]) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_hustler(p_hustler, p_task);
    at timestamptz;
    made uuid;
begin
    if t.state not in ('ACCEPTED', 'WORKING') then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    perform use_uploads(p_hustler, p_uploads);
    at := hx_clock();
    insert into proofs (task_id, hustler_id, kind) values (p_task, p_hustler, 'PHOTOS')
    returning id into made;
    insert into proof_photos (
        proof_id, upload_id, storage_url, file_size, mime_type, gps_latitude, gps_longitude,
        capture_timestamp, upload_order
    )
    select
        made, u.id, u.storage_key, u.bytes, u.content_type, u.gps_latitude, u.gps_longitude,
        coalesce(u.captured_at, u.created_at), p.n
    from unnest(p_uploads) with ordinality as p (id, n)
    join uploads as u on u.id = p.id;
    update proofs
    set state = 'SUBMITTED', submitted_at = at, review_deadline = at + review_window()
    where id = made;
    return finish_submission(t, made, at);
end;
$$;

-- The work is done: the money is on its way. The caller accepted the proof.
create or replace function complete_task(t tasks, p_actor uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    e escrows;
begin
    perform set_actor(p_actor, p_reason);
    update tasks set state = 'COMPLETED', completed_at = at, updated_at = at
    where id = t.id
    returning * into t;
    delete from timers where subject = t.id;
    select * into e from escrows where task_id = t.id and is_current for no key update;
    if e.state = 'LOCKED_DISPUTE' then
        perform queue_settlement(
            e.id, case d.outcome when 'SPLIT' then 'SPLIT' else 'RELEASE' end,
            d.release_amount, d.refund_amount
        ) from disputes as d where d.task_id = t.id;
    else
        perform queue_settlement(e.id, 'RELEASE', e.amount, 0);
    end if;
    return jsonb_build_object(
        'task_id', t.id, 'settle', true, 'events', append_events(task_events(t, null, null))
    );
end;
$$;

create or replace function accept_proof(t tasks, p_actor uuid, p_reason text) returns jsonb
language plpgsql
as $$
begin
    update proofs set state = 'ACCEPTED', reviewed_at = hx_clock()
    where task_id = t.id and state = 'SUBMITTED';
    return complete_task(t, p_actor, p_reason);
end;
$$;

create or replace function approve_task(p_poster uuid, p_task uuid) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_poster(p_poster, p_task);
begin
    if t.state = 'COMPLETED' then
        return accept_outcome('DONE', p_task);
    end if;
    if t.state <> 'PROOF_SUBMITTED' then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return accept_proof(t, p_poster, null);
end;
$$;

-- The poster turns the proof down, with a reason; the last time a person decides (design §2).
create or replace function reject_task(p_poster uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_poster(p_poster, p_task);
    at timestamptz;
    turned_down uuid;
    events jsonb;
begin
    if t.state <> 'PROOF_SUBMITTED' then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    at := hx_clock();
    update proofs set state = 'REJECTED', reject_reason = p_reason, reviewed_at = at
    where task_id = p_task and state = 'SUBMITTED'
    returning id into turned_down;
    delete from timers where kind in ('REVIEW', 'REVIEW_REMINDER') and subject = p_task;
    events := jsonb_build_array(hx_event(
        t.assigned_hustler_id, 'PROOF_REJECTED', jsonb_build_object(
            'task_id', p_task, 'proof_id', turned_down, 'reason', p_reason,
            'rejections_left', rejections_max() - 1 - t.rejections
        )
    ));
    if t.rejections + 1 = rejections_max() then
        update tasks set rejections = rejections + 1, updated_at = at where id = p_task returning * into t;
        return open_dispute(t, p_poster, 'POSTER', p_reason, events);
    end if;
    perform set_actor(p_poster, p_reason);
    update tasks
    set
        state = case when started_at is null then 'ACCEPTED' else 'WORKING' end,
        rejections = rejections + 1, updated_at = at
    where id = p_task
    returning * into t;
    if t.state = 'WORKING' then
        perform hx_timer('WORKING_STALE', p_task, at + work_stale_after());
    end if;
    return jsonb_build_object(
        'task_id', p_task,
        'withdrawn', case
            when counts_as_busy(t) then jsonb_build_array(t.assigned_hustler_id) else '[]'
        end,
        'events', append_events(events || task_events(t, null, null))
    );
end;
$$;

-- Twice before silence counts as an approval (design §2), with what is known of the work.
create or replace function remind_of_review(t tasks) returns jsonb
language plpgsql
as $$
declare
    ends_at timestamptz;
begin
    select p.review_deadline into ends_at
    from proofs as p where p.task_id = t.id and p.state = 'SUBMITTED';
    if hx_clock() >= ends_at then
        return '{}';  -- its REVIEW timer is due
    end if;
    if hx_clock() < ends_at - review_last_reminder() then
        perform hx_timer('REVIEW_REMINDER', t.id, ends_at - review_last_reminder());
    end if;
    return jsonb_build_object('events', append_events(jsonb_build_array(reminder(
        t.poster_id, 'REVIEW', t.id,
        format(
            'The work on your task waits for your answer; it was %s. Without an answer it counts as'
            ' approved on %s, and your hustler is paid.',
            case
                when t.started_at is null then 'not started with your code'
                else 'started with your code'
            end,
            to_char(ends_at at time zone 'UTC', 'FMMonth FMDD "at" HH24:MI "UTC"')
        )
    ))));
end;
$$;

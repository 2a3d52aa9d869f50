-- Disputes: opening, evidence, and the decision.

-- Locks the money and stops the task. The caller holds the task's lock; p_told is told with it.
create or replace function open_dispute(t tasks, p_by uuid, p_side text, p_reason text, p_events jsonb)
returns jsonb
language plpgsql
as $$
declare
    e escrows;
    d disputes;
    events jsonb := p_events || lapse_proposals(t);
    at timestamptz := hx_clock();
begin
    select * into e from escrows where task_id = t.id and is_current for no key update;
    if e.state is distinct from 'FUNDED' then
        perform hx_refuse('HX016', 'FUNDED');
    end if;
    insert into disputes (task_id, escrow_id, opened_by, side, reason, evidence_due_at)
    values (t.id, e.id, p_by, p_side, p_reason, at + evidence_window())
    returning * into d;
    update escrows set state = 'LOCKED_DISPUTE', updated_at = at where id = e.id;
    perform set_actor(p_by, p_reason);
    update tasks set state = 'DISPUTED', updated_at = at where id = t.id returning * into t;
    delete from timers where subject = t.id;
    perform close_item('WORKING_STALE', t.id::text);
    -- once evidence has been collected a person has to decide
    perform hx_timer('DISPUTE_DUE', d.id, d.evidence_due_at);
    return jsonb_build_object(
        'task_id', t.id,
        'subject_id', d.id,
        'events', append_events(events || task_events(t, null, null))
    );
end;
$$;

create or replace function dispute_task(p_user uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    t tasks := lock_task_as_party(p_user, p_task);
begin
    if t.state = 'DISPUTED' and exists (
        select from disputes as d where d.task_id = p_task and d.opened_by = p_user
    ) then
        return accept_outcome('DONE', p_task);
    end if;
    if t.state not in ('WORKING', 'PROOF_SUBMITTED')
        and not (t.state = 'ACCEPTED' and (t.arrived_at is not null or t.rejections > 0))
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return open_dispute(
        t, p_user, case p_user when t.poster_id then 'POSTER' else 'HUSTLER' end, p_reason, '[]'
    );
end;
$$;

create or replace function add_evidence(p_user uuid, p_task uuid, p_body text, p_uploads uuid[]) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    d disputes;
    made uuid;
begin
    select * into t from tasks where id = p_task for no key update;
    select * into d from disputes where task_id = p_task;
    if d.id is null or not (
        p_user in (t.poster_id, t.assigned_hustler_id)
        or is_admin(p_user)
    ) then
        perform hx_not_found();
    end if;
    if d.state = 'RESOLVED' then
        perform hx_refuse('HX010', 'DISPUTE-TRANSITION');
    end if;
    if (select count(*) >= evidence_max() from evidence where dispute_id = d.id and submitted_by = p_user) then
        raise exception using
            errcode = 'check_violation',
            constraint = 'evidence_limit',
            message = format('Each side may add %s pieces of evidence.', evidence_max());
    end if;
    perform use_uploads(p_user, p_uploads);
    insert into evidence (dispute_id, submitted_by, body, upload_ids)
    values (d.id, p_user, p_body, p_uploads)
    returning id into made;
    return jsonb_build_object(
        'task_id', p_task,
        'subject_id', made,
        'events', append_events(both_sides(t, 'EVIDENCE_ADDED', jsonb_build_object(
            'task_id', p_task, 'dispute_id', d.id, 'evidence_id', made,
            'side', case p_user
                when t.poster_id then 'POSTER' when t.assigned_hustler_id then 'HUSTLER' else 'ADMIN'
            end
        )))
    );
end;
$$;
create or replace function advance_dispute(p_admin uuid, p_dispute uuid, p_state text, p_reason text)
returns jsonb
language plpgsql
as $$
declare
    t tasks;
begin
    perform admin_may_decide(p_admin, p_dispute::text);
    select tasks.* into t
    from disputes join tasks on tasks.id = disputes.task_id
    where disputes.id = p_dispute
    for no key update of tasks;
    if not found then
        perform hx_not_found();
    end if;
    perform admin_act(
        p_admin,
        case p_state when 'ESCALATED' then 'ESCALATE_DISPUTE' else 'REQUEST_EVIDENCE' end,
        'dispute', p_dispute::text, p_reason
    );
    update disputes
    set
        state = p_state,
        evidence_due_at = case
            when p_state = 'EVIDENCE_REQUESTED' then hx_clock() + evidence_window()
            else evidence_due_at
        end
    where id = p_dispute;
    if p_state = 'EVIDENCE_REQUESTED' then
        perform close_item('DISPUTE_DUE', p_dispute::text);
        perform hx_timer('DISPUTE_DUE', p_dispute, hx_clock() + evidence_window());
    end if;
    return jsonb_build_object(
        'task_id', t.id, 'subject_id', p_dispute, 'events', append_events(task_events(t, null, null))
    );
end;
$$;

-- The decision: for the hustler, for the poster, or a split of which p_release cents are released.
create or replace function resolve_dispute(
    p_admin uuid, p_dispute uuid, p_outcome text, p_release integer, p_reason text
) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    d disputes;
    held integer;
    at timestamptz;
    release integer;
begin
    -- a repetition leaves no second row, and is still an admin's alone
    perform admin_may_decide(p_admin, p_dispute::text);
    select tasks.* into t
    from disputes join tasks on tasks.id = disputes.task_id
    where disputes.id = p_dispute
    for no key update of tasks;
    if not found then
        perform hx_not_found();
    end if;
    select * into d from disputes where id = p_dispute;
    if d.state = 'RESOLVED' then
        if d.outcome = p_outcome and d.release_amount is not distinct from coalesce(p_release, d.release_amount)
        then
            return accept_outcome('DONE', t.id);
        end if;
        perform hx_refuse('HX010', 'DISPUTE-TRANSITION');
    end if;
    select amount into held from escrows where id = d.escrow_id for no key update;
    release := case p_outcome when 'HUSTLER' then held when 'POSTER' then 0 else p_release end;
    if release is null or (p_outcome = 'SPLIT' and release not between 1 and held - 1) then
        raise exception using
            errcode = 'check_violation',
            constraint = 'dispute_split',
            message = format('A split releases between 1 and %s cents.', held - 1);
    end if;
    at := hx_clock();
    perform admin_act(
        p_admin, 'RESOLVE_DISPUTE', 'dispute', p_dispute::text, p_reason,
        jsonb_build_object('outcome', p_outcome, 'release_cents', release, 'task_id', t.id)
    );
    update disputes
    set
        state = 'RESOLVED', outcome = p_outcome, release_amount = release,
        refund_amount = held - release, resolved_by = p_admin, resolution = p_reason,
        resolved_at = at
    where id = p_dispute;
    delete from timers where kind = 'DISPUTE_DUE' and subject = p_dispute;
    perform close_item('DISPUTE_DUE', p_dispute::text);
    update proofs set state = 'EXPIRED', reviewed_at = at
    where task_id = t.id and state in ('PENDING', 'SUBMITTED');
    if p_outcome = 'POSTER' then
        return end_task(
            t, 'CANCELLED', p_admin, 'DISPUTE_FOR_POSTER', p_reason, record_lost(t.id)
        ) || jsonb_build_object('withdrawn', withdrawn_unless_active(t.assigned_hustler_id));
    end if;
    insert into proofs (task_id, hustler_id, kind, state, submitted_at, reviewed_at)
    values (t.id, t.assigned_hustler_id, 'DECISION', 'ACCEPTED', at, at);
    return complete_task(t, p_admin, p_reason);
end;
$$;

-- A stuck task with somebody at work: an admin opens the dispute, and another decides it.
create or replace function admin_dispute_task(p_admin uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(p_admin, 'DISPUTE_TASK', 'task', p_task::text, p_reason);
    t tasks := lock_task_as_admin(p_task);
begin
    if t.state not in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED') then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return open_dispute(t, p_admin, 'ADMIN', p_reason, '[]');
end;
$$;

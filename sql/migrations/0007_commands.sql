-- The commands: one function, one transaction, one answer (engine/applied.py, Applied).
--
-- Lock order everywhere: tasks (by id) → broadcast → escrow → live status → user counters.
-- Events are collected and appended by one append_events call, last; pushing happens after commit.

-- ── Events that several commands tell ──────────────────────────────────────────────────────────

-- A transition, told to both sides, with the published event beside it (job_state_sync).
create function task_events(t tasks, p_type text, p_data jsonb) returns jsonb
language plpgsql
as $$
declare
    told jsonb := '[]';
    reader uuid;
    status jsonb := jsonb_build_object('task_id', t.id, 'state', t.state, 'updated_at', t.updated_at);
begin
    foreach reader in array array_remove(array[t.poster_id, t.assigned_hustler_id], null) loop
        told := told || hx_event(reader, 'TASK_STATUS_UPDATE', status);
        if p_type is not null then
            told := told
                || hx_event(reader, p_type, jsonb_build_object('task_id', t.id) || p_data);
        end if;
    end loop;
    return told;
end;
$$;

create function broadcast_event(p_broadcast uuid, p_poster uuid) returns jsonb
language plpgsql
as $$
declare
    b live_broadcasts;
    at timestamptz := hx_clock();
begin
    select * into b from live_broadcasts where id = p_broadcast;
    return hx_event(p_poster, 'LIVE_BROADCAST_UPDATE', jsonb_build_object(
        'broadcast_id', b.id,
        'task_id', b.task_id,
        'state', b.state,
        'radius_miles', broadcast_radius_miles(b, at),
        'hustlers_notified', (select count(*) from offers as o where o.broadcast_id = b.id),
        'next_expansion_at', broadcast_next_expansion_at(b, at),
        'expires_at', b.expires_at
    ));
end;
$$;

create function closed_broadcast(p_broadcast uuid, p_task uuid, p_reason text) returns jsonb
language sql immutable
return jsonb_build_object('broadcast_id', p_broadcast, 'task_id', p_task, 'reason', p_reason);

create function live_event(p_status live_status) returns jsonb
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
begin
    return hx_event(p_status.user_id, 'LIVE_MODE_STATE_CHANGE', jsonb_strip_nulls(jsonb_build_object(
        'state', live_state(p_status, at),
        'reason', live_state_reason(p_status, at),
        'ends_at', live_state_ends_at(p_status, at)
    )));
end;
$$;

-- ── Posting and funding ────────────────────────────────────────────────────────────────────────

create function create_task(p_poster uuid, p_draft jsonb) returns jsonb
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
    if (p_draft ->> 'deadline')::timestamptz <= hx_clock() then
        raise exception using
            errcode = 'check_violation',
            constraint = 'tasks_deadline_ahead',
            message = 'The deadline has passed already.';
    end if;
    perform hx_act(p_poster, null);
    insert into tasks (
        mode, state, title, description, category, price,
        location_lat, location_lng, location_address, place_lat, place_lng,
        deadline, requires_proof, min_photos, estimated_minutes,
        required_trade, required_trust_tier, insurance_required, background_check_required,
        poster_id
    )
    select
        d.mode,
        case d.mode when 'LIVE' then 'MATCHING' else 'OPEN' end,
        d.title, d.description, d.category, d.price_cents,
        d.lat, d.lng, d.address, d.place_lat, d.place_lng,
        d.deadline, d.requires_proof, d.min_photos, d.estimated_minutes,
        d.required_trade, d.required_trust_tier, d.insurance_required, d.background_check_required,
        p_poster
    from jsonb_to_record(p_draft) as d (
        mode text, title text, description text, category text, price_cents integer,
        lat double precision, lng double precision, address text,
        place_lat double precision, place_lng double precision,
        deadline timestamptz, requires_proof boolean, min_photos smallint,
        estimated_minutes integer, required_trade text, required_trust_tier smallint,
        insurance_required boolean, background_check_required boolean
    )
    returning * into made;
    perform hx_timer('UNFUNDED', made.id, made.created_at + interval '24 hours');
    if made.deadline is not null then
        perform hx_timer('DEADLINE', made.id, made.deadline);
    end if;
    return jsonb_build_object('task_id', made.id);
end;
$$;

-- First half of funding: the intent row, committed before any provider is called.
create function begin_funding(p_poster uuid, p_task uuid) returns jsonb
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
    select * into e from escrows where task_id = p_task and is_current;
    if found and e.state <> 'PENDING' then
        return to_jsonb(e);
    end if;
    if t.state not in ('OPEN', 'MATCHING') then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if e.id is null then
        insert into escrows (task_id, amount) values (p_task, t.price) returning * into e;
    end if;
    return to_jsonb(e);
end;
$$;

create function start_broadcast(t tasks, p_plan jsonb) returns live_broadcasts
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    b live_broadcasts;
begin
    insert into live_broadcasts (
        task_id, started_at, expires_at,
        initial_radius_miles, max_radius_miles, expansion_step_miles, expansion_interval_s
    )
    select
        t.id,
        at,
        least(at + make_interval(secs => p.ttl_s), t.deadline),
        p.initial_radius_miles, p.max_radius_miles, p.expansion_step_miles, p.expansion_interval_s
    from jsonb_to_record(p_plan) as p (
        ttl_s integer, initial_radius_miles double precision, max_radius_miles double precision,
        expansion_step_miles double precision, expansion_interval_s integer
    )
    returning * into b;
    perform hx_timer('BROADCAST_END', b.id, b.expires_at);
    return b;
end;
$$;

-- Second half: books the provider's answer. Funding a LIVE task starts its broadcast in here.
-- Money that arrives when nobody can accept any more is queued for refund.
create function book_funding(p_escrow uuid, p_payment text, p_plan jsonb) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    e escrows;
    b live_broadcasts;
    at timestamptz;
begin
    select tasks.* into t
    from tasks join escrows on escrows.task_id = tasks.id
    where escrows.id = p_escrow
    for no key update of tasks;
    select * into e from escrows where id = p_escrow for update;
    if e.state <> 'PENDING' then
        return jsonb_build_object('task_id', e.task_id, 'subject_id', e.id);
    end if;
    at := hx_clock();
    update escrows
    set state = 'FUNDED', stripe_payment_intent_id = p_payment, funded_at = at, updated_at = at
    where id = p_escrow;
    delete from timers where kind = 'UNFUNDED' and subject = t.id;
    if t.state not in ('OPEN', 'MATCHING') or t.deadline <= at then
        if t.state in ('CANCELLED', 'EXPIRED') then
            insert into settlements (escrow_id, kind, amount) values (e.id, 'REFUND', e.amount);
        end if;
        return jsonb_build_object('task_id', t.id, 'subject_id', e.id, 'settle', true);
    end if;
    if t.mode = 'STANDARD' then
        return jsonb_build_object('task_id', t.id, 'subject_id', e.id);
    end if;
    b := start_broadcast(t, p_plan);
    return jsonb_build_object(
        'task_id', t.id,
        'subject_id', e.id,
        'started', jsonb_build_array(b.id),
        'events', append_events(jsonb_build_array(broadcast_event(b.id, t.poster_id)))
    );
end;
$$;

-- ── Accept ─────────────────────────────────────────────────────────────────────────────────────

create function accept_outcome(p_outcome text, p_task uuid) returns jsonb
language sql immutable
return jsonb_build_object('outcome', p_outcome, 'task_id', p_task);

-- What concerns the caller alone; asked before any lock and again under it.
create function refuse_caller(t tasks, p_hustler uuid) returns void
language plpgsql
as $$
declare
    own live_status;
begin
    if not exists (
        select from users as u
        where u.id = p_hustler and may_work(u.role) and u.account_status = 'ACTIVE'
    ) then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
    if is_busy(p_hustler) then
        perform hx_refuse('HX014', 'BUSY');
    end if;
    if t.mode = 'LIVE' then
        select s.* into own from live_status as s where s.user_id = p_hustler;
        if live_state(own, hx_clock()) is distinct from 'ACTIVE' then
            perform hx_refuse('HX903', 'LIVE-3');
        end if;
        if not exists (
            select from offers as o
            join live_broadcasts as b on b.id = o.broadcast_id
            where o.hustler_id = p_hustler and b.task_id = t.id
                and o.response is distinct from 'DECLINE'
        ) then
            perform hx_refuse('HX012', 'ELIGIBILITY');
        end if;
    elsif (
        select count(*) >= 5 from tasks as held
        where held.assigned_hustler_id = p_hustler and held.mode = 'STANDARD'
            and held.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED')
    ) then
        perform hx_refuse('HX014', 'BUSY');
    end if;
    if not exists (
        select from users as u join hustler_profiles as p on p.user_id = u.id
        where u.id = p_hustler and eligible(t, u, p)
    ) then
        perform hx_refuse('HX012', 'ELIGIBILITY');
    end if;
end;
$$;

-- How the task stands for somebody who wants it: null means it can still be had.
create function accept_standing(t tasks, p_hustler uuid) returns text
language plpgsql
as $$
declare
    b live_broadcasts;
begin
    if t.assigned_hustler_id = p_hustler and t.state not in ('CANCELLED', 'EXPIRED') then
        return 'WON';
    end if;
    if t.state in ('CANCELLED', 'EXPIRED') then
        return 'EXPIRED';
    end if;
    if t.state not in ('OPEN', 'MATCHING') then
        return 'TAKEN';
    end if;
    if t.deadline <= hx_clock() then
        return 'EXPIRED';
    end if;
    -- The broadcast is read after the task: an accept may have committed between the two.
    select * into b from live_broadcasts
    where task_id = t.id
    order by started_at desc
    limit 1;
    if b.accepted_by = p_hustler then
        return 'WON';
    end if;
    if b.state = 'ACCEPTED' then
        return 'TAKEN';
    end if;
    if b.state <> 'ACTIVE' or b.expires_at <= hx_clock() then
        return 'EXPIRED';
    end if;
    return null;
end;
$$;

-- The one road to a task (design §6). Losers of the lock re-check by waiting at most 250 ms.
create function accept_task(p_hustler uuid, p_task uuid, p_version integer) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    b live_broadcasts;
    s live_status;
    standing text;
    at timestamptz;
    accepts integer;
    told jsonb;
    eta integer;
begin
    -- 1. Without a lock: answer what is decided already, refuse what concerns the caller alone.
    select * into t from tasks where id = p_task;
    if not found then
        perform hx_not_found();
    end if;
    if t.poster_id = p_hustler then
        perform hx_refuse('HX013', 'OWN-TASK');
    end if;
    standing := accept_standing(t, p_hustler);
    if standing is not null then
        return accept_outcome(standing, p_task);
    end if;
    if not exists (
        select from escrows as e where e.task_id = p_task and e.is_current and e.state = 'FUNDED'
    ) then
        perform hx_refuse('HX016', 'FUNDED');
    end if;
    begin
        perform refuse_caller(t, p_hustler);
    exception when others then
        -- the same hustler may have won it on another device this very moment
        select * into t from tasks where id = p_task;
        standing := accept_standing(t, p_hustler);
        if standing is null then
            raise;
        end if;
        return accept_outcome(standing, p_task);
    end;

    -- 2. and 3. The lock: at once if free, else waiting for its holder's commit.
    perform from tasks where id = p_task for no key update skip locked;
    if not found then
        perform set_config('lock_timeout', '250ms', true);
        perform from tasks where id = p_task for no key update;
    end if;

    -- 4. Under the lock, in new statements, everything again.
    select * into t from tasks where id = p_task;
    standing := accept_standing(t, p_hustler);
    if standing is not null then
        return accept_outcome(standing, p_task);
    end if;
    if t.version <> p_version then
        perform hx_refuse('HX010', 'VERSION');
    end if;
    select * into b from live_broadcasts
    where task_id = p_task and state = 'ACTIVE'
    for no key update;
    if not escrow_is_funded(p_task) then
        perform hx_refuse('HX016', 'FUNDED');
    end if;
    select * into s from live_status where user_id = p_hustler for no key update;
    perform refuse_caller(t, p_hustler);

    at := hx_clock();
    perform hx_act(p_hustler, null);
    update tasks
    set
        state = 'ACCEPTED', assigned_hustler_id = p_hustler,
        accepted_at = at, en_route_at = at, updated_at = at
    where id = p_task
    returning * into t;
    insert into task_codes (task_id, kind) values (p_task, 'START'), (p_task, 'COMPLETION');
    delete from timers where (kind, subject) in (('DEADLINE', p_task), ('BROADCAST_END', b.id));

    if t.mode = 'LIVE' then
        update offers set responded_at = at, response = 'ACCEPT'
        where broadcast_id = b.id and hustler_id = p_hustler
        returning ceil(distance_miles * 1.4 / 25 * 60) into eta;
        update live_sessions
        set tasks_accepted = tasks_accepted + 1, declines_in_row = 0
        where id = s.session_id
        returning tasks_accepted into accepts;
    end if;

    told := task_events(t, 'JOB_ASSIGNED', jsonb_build_object(
        'status', 'SCHEDULED', 'hustler_id', p_hustler, 'eta_minutes', eta
    ));
    if t.mode = 'LIVE' then
        told := told || broadcast_event(b.id, t.poster_id);
        -- the second accept of a session is followed by 15 minutes of rest (product_spec §3.5)
        if accepts % 2 = 0 then
            update live_status
            set cooldown_until = at + interval '15 minutes', version = version + 1
            where user_id = p_hustler
            returning * into s;
            told := told || live_event(s);
        end if;
    end if;
    return jsonb_build_object(
        'outcome', 'WON',
        'task_id', p_task,
        'events', append_events(told),
        'closed', case t.mode
            when 'LIVE' then jsonb_build_array(closed_broadcast(b.id, p_task, 'CLAIMED'))
            else '[]'
        end,
        'withdrawn', case t.mode when 'LIVE' then jsonb_build_array(p_hustler) else '[]' end
    );
end;
$$;

create function respond_to_offer(
    p_hustler uuid, p_broadcast uuid, p_response text, p_decline_reason text
) returns jsonb
language plpgsql
as $$
declare
    b live_broadcasts;
    o offers;
    s live_status;
    declines integer;
    at timestamptz;
begin
    select * into b from live_broadcasts where id = p_broadcast;
    if not found then
        perform hx_not_found();
    end if;
    if p_response = 'ACCEPT' then
        if b.state <> 'ACTIVE' and not exists (
            select from tasks as t where t.id = b.task_id and t.assigned_hustler_id = p_hustler
        ) then
            return accept_outcome(
                case b.state when 'ACCEPTED' then 'TAKEN' else 'EXPIRED' end, b.task_id
            );
        end if;
        return accept_task(p_hustler, b.task_id, null);
    end if;

    select * into s from live_status where user_id = p_hustler for no key update;
    select * into o from offers
    where broadcast_id = p_broadcast and hustler_id = p_hustler
    for no key update;
    if not found then
        perform hx_not_found();
    end if;
    if o.response = 'ACCEPT' then
        return accept_outcome('WON', b.task_id);
    end if;
    if o.response = 'DECLINE' then
        return accept_outcome('DECLINED', b.task_id);
    end if;
    at := hx_clock();
    update offers
    set response = p_response, responded_at = at, decline_reason = p_decline_reason
    where broadcast_id = p_broadcast and hustler_id = p_hustler;
    if p_response = 'SKIP' then
        return accept_outcome('SKIPPED', b.task_id);
    end if;
    update live_sessions
    set tasks_declined = tasks_declined + 1, declines_in_row = declines_in_row + 1
    where id = s.session_id
    returning declines_in_row into declines;
    if declines < 5 or declines is null then
        return accept_outcome('DECLINED', b.task_id);
    end if;
    -- five declines without an accept: PAUSED for 30 minutes (design §2, Live mode)
    update live_sessions set declines_in_row = 0 where id = s.session_id;
    update live_status set paused_until = at + interval '30 minutes', version = version + 1
    where user_id = p_hustler
    returning * into s;
    return accept_outcome('DECLINED', b.task_id) || jsonb_build_object(
        'events', append_events(jsonb_build_array(live_event(s))),
        'withdrawn', jsonb_build_array(p_hustler)
    );
end;
$$;

-- ── Work ───────────────────────────────────────────────────────────────────────────────────────

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

-- ── Stopping ───────────────────────────────────────────────────────────────────────────────────

-- Money of a task that ended without work: refunded when held, cancelled when never paid.
create function give_back(p_task uuid) returns boolean
language plpgsql
as $$
declare
    e escrows;
    at timestamptz := hx_clock();
begin
    select * into e from escrows where task_id = p_task and is_current for no key update;
    if e.state = 'PENDING' then
        update escrows set state = 'CANCELLED', ended_at = at, updated_at = at where id = e.id;
    elsif e.state = 'FUNDED' then
        insert into settlements (escrow_id, kind, amount) values (e.id, 'REFUND', e.amount);
        return true;
    end if;
    return false;
end;
$$;

-- Ends a task without work. p_state is CANCELLED or EXPIRED; the caller holds the task's lock.
create function end_task(t tasks, p_state text, p_actor uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    b live_broadcasts;
    told jsonb;
    settle boolean;
begin
    select * into b from live_broadcasts
    where task_id = t.id and state = 'ACTIVE'
    for no key update;
    perform hx_act(p_actor, p_reason);
    update tasks set state = p_state, cancel_reason = p_reason, updated_at = at
    where id = t.id
    returning * into t;
    settle := give_back(t.id);
    delete from timers
    where subject = t.id and kind in ('UNFUNDED', 'DEADLINE', 'CHOICE')
        or subject = b.id and kind = 'BROADCAST_END';
    told := task_events(t, 'JOB_CANCELLED', jsonb_build_object(
        'status', 'CANCELLED', 'reason', p_reason
    ));
    if b.id is not null then
        told := told || broadcast_event(b.id, t.poster_id);
    end if;
    return jsonb_build_object(
        'task_id', t.id,
        'settle', settle,
        'events', append_events(told),
        'closed', case when b.id is null then '[]' else jsonb_build_array(closed_broadcast(
            b.id, t.id, case p_state when 'EXPIRED' then 'EXPIRED' else 'CANCELLED' end
        )) end
    );
end;
$$;

create function cancel_task(p_poster uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    t tasks := own_task(p_poster, p_task);
begin
    if t.state = 'CANCELLED' then
        return accept_outcome('DONE', p_task);
    end if;
    -- full refund until the hustler's arrival is recorded; afterwards only a dispute
    if t.state not in ('OPEN', 'MATCHING', 'ACCEPTED') or t.arrived_at is not null then
        perform hx_refuse(
            case when t.state = 'EXPIRED' or t.state = 'COMPLETED' then 'HX001' else 'HX010' end,
            case when t.state = 'EXPIRED' or t.state = 'COMPLETED' then 'TASK-TERMINAL' else 'TRANSITION' end
        );
    end if;
    return end_task(t, 'CANCELLED', p_poster, coalesce(p_reason, 'POSTER_CANCELLED'));
end;
$$;

-- The one function that ends a task in favour of its successor and moves the FUNDED escrow.
-- The caller holds the task's lock; no broadcast of it is active.
create function succeed_task(t tasks, p_mode text, p_actor uuid, p_reason text) returns tasks
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    heir tasks;
begin
    perform hx_act(p_actor, p_reason);
    update tasks set state = 'CANCELLED', cancel_reason = p_reason, updated_at = at where id = t.id;
    insert into tasks (
        mode, state, title, description, category, price,
        location_lat, location_lng, location_address, place_lat, place_lng,
        deadline, requires_proof, min_photos, estimated_minutes,
        required_trade, required_trust_tier, insurance_required, background_check_required,
        poster_id, predecessor_id
    )
    values (
        p_mode, case p_mode when 'LIVE' then 'MATCHING' else 'OPEN' end,
        t.title, t.description, t.category, t.price,
        t.location_lat, t.location_lng, t.location_address, t.place_lat, t.place_lng,
        t.deadline, t.requires_proof, t.min_photos, t.estimated_minutes,
        t.required_trade, t.required_trust_tier, t.insurance_required,
        t.background_check_required, t.poster_id, t.id
    )
    returning * into heir;
    update escrows set task_id = heir.id, updated_at = at where task_id = t.id and is_current;
    delete from timers where subject = t.id and kind in ('DEADLINE', 'CHOICE');
    if heir.deadline is not null then
        perform hx_timer('DEADLINE', heir.id, heir.deadline);
    end if;
    return heir;
end;
$$;

-- The hustler gives the task back: a successor with the same escrow is on offer at once.
create function release_task(
    p_hustler uuid, p_task uuid, p_reason text, p_plan jsonb
) returns jsonb
language plpgsql
as $$
declare
    t tasks := hold_task(p_hustler, p_task);
    heir tasks;
    b live_broadcasts;
    told jsonb;
begin
    if t.state = 'CANCELLED' and t.cancel_reason = 'HUSTLER_RELEASED' then
        return accept_outcome('DONE', p_task);
    end if;
    if t.state <> 'ACCEPTED' then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if t.deadline <= hx_clock() then
        -- nobody could accept a successor any more
        return end_task(t, 'CANCELLED', p_hustler, 'HUSTLER_RELEASED');
    end if;
    heir := succeed_task(t, t.mode, p_hustler, 'HUSTLER_RELEASED');
    select * into t from tasks where id = p_task;
    told := task_events(t, 'JOB_CANCELLED', jsonb_strip_nulls(jsonb_build_object(
        'status', 'CANCELLED', 'reason', 'HUSTLER_RELEASED', 'note', p_reason,
        'successor_id', heir.id
    )));
    if heir.mode = 'LIVE' then
        b := start_broadcast(heir, p_plan);
        told := told || broadcast_event(b.id, heir.poster_id);
    end if;
    return jsonb_build_object(
        'task_id', p_task,
        'subject_id', heir.id,
        'events', append_events(told),
        'started', case when b.id is null then '[]' else jsonb_build_array(b.id) end
    );
end;
$$;

-- After a broadcast nobody accepted: the work joins the feed, or the poster gets the money back.
create function choose_after_broadcast(p_poster uuid, p_task uuid, p_choice text) returns jsonb
language plpgsql
as $$
declare
    t tasks := own_task(p_poster, p_task);
    heir tasks;
begin
    select * into heir from tasks where predecessor_id = p_task;
    if t.state = 'CANCELLED' and (
        (p_choice = 'SWITCH_TO_STANDARD' and heir.mode = 'STANDARD')
        or (p_choice = 'CANCEL' and heir.id is null)
    ) then
        return jsonb_build_object('task_id', p_task, 'subject_id', heir.id);
    end if;
    if t.state <> 'MATCHING' or exists (
        select from live_broadcasts as b where b.task_id = p_task and b.state = 'ACTIVE'
    ) or not exists (select from live_broadcasts as b where b.task_id = p_task) then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if p_choice = 'CANCEL' then
        return end_task(t, 'CANCELLED', p_poster, 'POSTER_CANCELLED');
    end if;
    heir := succeed_task(t, 'STANDARD', p_poster, 'SWITCHED_TO_STANDARD');
    select * into t from tasks where id = p_task;
    return jsonb_build_object(
        'task_id', p_task,
        'subject_id', heir.id,
        'events', append_events(task_events(t, 'JOB_CANCELLED', jsonb_build_object(
            'status', 'CANCELLED', 'reason', 'SWITCHED_TO_STANDARD', 'successor_id', heir.id
        )))
    );
end;
$$;

-- ── Timers ─────────────────────────────────────────────────────────────────────────────────────

-- Fires one timer if it is still due. Whoever else fires it at the same time finds nothing to do.
create function fire_timer(p_kind text, p_subject uuid) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    b live_broadcasts;
    answer jsonb := jsonb_build_object('task_id', p_subject);
    due timestamptz;
begin
    if p_kind = 'BROADCAST_END' then
        select tasks.* into t
        from live_broadcasts join tasks on tasks.id = live_broadcasts.task_id
        where live_broadcasts.id = p_subject
        for no key update of tasks;
        select * into b from live_broadcasts where id = p_subject for no key update;
    else
        select * into t from tasks where id = p_subject for no key update;
    end if;
    select due_at into due from timers where kind = p_kind and subject = p_subject for update;
    if due is null or due > hx_clock() then
        return answer;
    end if;
    delete from timers where kind = p_kind and subject = p_subject;

    if p_kind = 'BROADCAST_END' and b.state = 'ACTIVE' then
        update live_broadcasts set state = 'EXPIRED', ended_at = expires_at where id = b.id;
        if t.deadline <= b.expires_at then
            -- the task's own deadline ended it; its DEADLINE timer refunds
            return answer || jsonb_build_object(
                'closed', jsonb_build_array(closed_broadcast(b.id, t.id, 'EXPIRED'))
            );
        end if;
        perform hx_timer('CHOICE', t.id, b.expires_at + interval '24 hours');
        return jsonb_build_object(
            'task_id', t.id,
            'events', append_events(jsonb_build_array(broadcast_event(b.id, t.poster_id))),
            'closed', jsonb_build_array(closed_broadcast(b.id, t.id, 'EXPIRED'))
        );
    elsif p_kind = 'UNFUNDED' and t.state in ('OPEN', 'MATCHING') and not exists (
        select from escrows as e where e.task_id = t.id and e.state = 'FUNDED'
    ) then
        return end_task(t, 'CANCELLED', null, 'UNFUNDED');
    elsif p_kind = 'DEADLINE' and t.state in ('OPEN', 'MATCHING') then
        return end_task(t, 'EXPIRED', null, 'DEADLINE');
    elsif p_kind = 'CHOICE' and t.state = 'MATCHING' and not exists (
        select from live_broadcasts as r where r.task_id = t.id and r.state = 'ACTIVE'
    ) then
        return end_task(t, 'CANCELLED', null, 'NO_CHOICE');
    elsif p_kind = 'REVIEW' and t.state = 'PROOF_SUBMITTED' then
        return complete_task(t, null, 'REVIEW_TIMEOUT');
    end if;
    return answer;
end;
$$;

-- ── LIVE status ────────────────────────────────────────────────────────────────────────────────

create function go_live(p_hustler uuid, p_radius double precision, p_categories text[])
returns jsonb
language plpgsql
as $$
declare
    s live_status;
    opened uuid;
    at timestamptz;
begin
    if not exists (
        select from users as u
        where u.id = p_hustler and may_work(u.role) and u.account_status = 'ACTIVE'
    ) then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
    select * into s from live_status where user_id = p_hustler for no key update;
    at := hx_clock();
    if s.session_id is null then
        insert into live_sessions (user_id, started_at) values (p_hustler, at) returning id into opened;
        update live_status
        set
            session_id = opened, active_since = at, last_on_at = at,
            radius_miles = p_radius, categories = p_categories, version = version + 1
        where user_id = p_hustler;
    elsif (s.radius_miles, s.categories) is distinct from (p_radius, p_categories) then
        update live_status
        set radius_miles = p_radius, categories = p_categories, version = version + 1
        where user_id = p_hustler;
    end if;
    return jsonb_build_object('subject_id', coalesce(opened, s.session_id));
end;
$$;

-- Off is always allowed. An end by the system is told by an event.
create function end_live(p_hustler uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    s live_status;
    at timestamptz;
begin
    select * into s from live_status where user_id = p_hustler for no key update;
    if s.session_id is null then
        return jsonb_build_object('outcome', 'DONE');
    end if;
    at := hx_clock();
    update live_sessions set ended_at = at, end_reason = p_reason where id = s.session_id;
    update live_status
    set
        session_id = null, active_since = null, last_end_reason = p_reason,
        version = version + 1
    where user_id = p_hustler
    returning * into s;
    return jsonb_build_object(
        'subject_id', s.session_id,
        'withdrawn', jsonb_build_array(p_hustler),
        'events', case p_reason when 'MANUAL' then '[]' else append_events(jsonb_build_array(
            hx_event(p_hustler, 'LIVE_MODE_STATE_CHANGE', jsonb_build_object(
                'state', 'OFF', 'reason', p_reason
            ))
        )) end
    );
end;
$$;

-- A session away for five minutes ends, unless its hustler holds a task (design §2, Live mode).
create function end_away(p_hustler uuid) returns jsonb
language plpgsql
as $$
begin
    perform from live_status where user_id = p_hustler for no key update;
    if exists (
        select from tasks as t
        where t.assigned_hustler_id = p_hustler and t.state in ('ACCEPTED', 'WORKING')
    ) then
        return jsonb_build_object('outcome', 'DONE');
    end if;
    return end_live(p_hustler, 'OFFLINE');
end;
$$;

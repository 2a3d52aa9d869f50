-- Posting a task and holding its money.
-- Commands as 0012_telling.sql describes them.

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
    if (p_draft ->> 'deadline')::timestamptz not between hx_clock() and hx_clock() + interval '1 year' then
        raise exception using
            errcode = 'check_violation',
            constraint = 'tasks_deadline_ahead',
            message = 'A deadline lies between now and a year from now.';
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
    if t.state in ('CANCELLED', 'EXPIRED') then
        perform hx_refuse('HX001', 'TASK-TERMINAL');
    end if;
    if found and e.state <> 'PENDING' then
        return to_jsonb(e);
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
-- Money that arrives after the task has ended is queued for refund.
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
    if e.state = 'CANCELLED' then
        -- the task ended while the provider was at work: the late payment goes back
        insert into settlements (escrow_id, kind, amount, payment)
        values (e.id, 'REFUND', e.amount, p_payment)
        on conflict on constraint settlements_one_per_escrow do nothing;
        return jsonb_build_object('task_id', t.id, 'subject_id', e.id, 'settle', true);
    end if;
    if e.state <> 'PENDING' then
        return jsonb_build_object('task_id', e.task_id, 'subject_id', e.id);
    end if;
    at := hx_clock();
    update escrows
    set state = 'FUNDED', stripe_payment_intent_id = p_payment, funded_at = at, updated_at = at
    where id = p_escrow;
    delete from timers where kind = 'UNFUNDED' and subject = t.id;
    if t.mode = 'STANDARD' or t.deadline <= at then
        -- past its deadline nobody can accept: the DEADLINE timer refunds
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

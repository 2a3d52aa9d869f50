-- Posting a task and holding its money.
-- Commands as 0012_telling.sql describes them.

create function check_deadline(p_deadline timestamptz) returns void
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
begin
    if p_deadline not between at and at + interval '1 year' then
        raise exception using
            errcode = 'check_violation',
            constraint = 'tasks_deadline_ahead',
            message = 'A deadline lies between now and a year from now.';
    end if;
end;
$$;

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
    perform check_deadline((p_draft ->> 'deadline')::timestamptz);
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

-- Changes a task's terms: all but the mode before it is funded, title and description until the work
-- begins. HX019 for the rest, by the judge of 0004. p_changes holds the fields that change.
create function edit_task(
    p_poster uuid, p_task uuid, p_changes jsonb, p_version integer
) returns jsonb
language plpgsql
as $$
declare
    t tasks := own_task(p_poster, p_task);
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
    t := jsonb_populate_record(t, p_changes);
    update tasks
    set
        title = t.title, description = t.description, category = t.category, price = t.price,
        location_lat = t.location_lat, location_lng = t.location_lng,
        location_address = t.location_address, place_lat = t.place_lat, place_lng = t.place_lng,
        deadline = t.deadline, requires_proof = t.requires_proof, min_photos = t.min_photos,
        estimated_minutes = t.estimated_minutes, required_trade = t.required_trade,
        required_trust_tier = t.required_trust_tier, insurance_required = t.insurance_required,
        background_check_required = t.background_check_required, updated_at = at
    where id = p_task
    returning * into t;
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

-- First half of funding: the intent row, committed before any provider is called. A replacement
-- that waits for its payment comes before the escrow that it takes over from.
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
        'poster_id', t.poster_id
    );
end;
$$;

-- The provider has begun a payment that is not finished: its name is kept, to be looked up.
create function note_payment(p_escrow uuid, p_payment text) returns jsonb
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
create function drop_payment(p_escrow uuid) returns jsonb
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

-- Null where the poster's account is shut: nothing of theirs is offered, and what is held waits for a
-- person.
create function start_broadcast(t tasks, p_plan jsonb) returns live_broadcasts
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    b live_broadcasts;
begin
    if not account_is_active(t.poster_id) then
        perform hold_for_operator(t);
        return null;
    end if;
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

-- Queues what has to move, as far as nobody has taken it back: cover_settlement() holds it, or counts
-- what the poster has got already as the refund.
create function queue_settlement(p_escrow uuid, p_kind text, p_release integer, p_refund integer)
returns uuid
language plpgsql
as $$
declare
    made uuid;
begin
    insert into settlements (escrow_id, kind, release_amount, fee_amount, refund_amount)
    values (p_escrow, p_kind, p_release, platform_fee_cents(p_release), p_refund)
    returning id into made;
    perform cover_settlement(made);
    return made;
end;
$$;

-- A payment for an escrow that can no longer take it: it goes back, whole.
create function give_back_late(e escrows, p_payment text) returns jsonb
language plpgsql
as $$
begin
    if e.state = 'PENDING' then
        update escrows set state = 'CANCELLED', ended_at = hx_clock(), updated_at = hx_clock()
        where id = e.id;
    end if;
    insert into settlements (escrow_id, kind, refund_amount, payment)
    values (e.id, 'REFUND', e.amount, p_payment)
    on conflict on constraint settlements_one_per_escrow do nothing;
    perform apply_earlier_facts(p_payment, null);
    perform cover_settlement(s.id) from settlements as s where s.escrow_id = e.id;
    return jsonb_build_object('task_id', e.task_id, 'subject_id', e.id, 'settle', true);
end;
$$;

-- Second half: books the provider's answer. Funding a LIVE task starts its broadcast in here; a paid
-- replacement takes over from the old escrow, whose money goes back, and sets the task's price.
-- Money that comes too late is queued for refund, and what was taken back before we heard of it ends
-- the task like what is taken back later.
create function book_funding(p_escrow uuid, p_payment text, p_plan jsonb) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    e escrows;
    b live_broadcasts;
    at timestamptz;
    earlier jsonb;
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
        return give_back_late(e, p_payment);
    end if;
    if e.state <> 'PENDING' then
        return jsonb_build_object('task_id', e.task_id, 'subject_id', e.id);
    end if;
    if t.state in ('COMPLETED', 'CANCELLED', 'EXPIRED') then
        return give_back_late(e, p_payment);
    end if;
    if e.replaces is not null then
        return book_replacement(t, e, p_payment, p_plan);
    end if;
    update escrows
    set state = 'FUNDED', stripe_payment_intent_id = p_payment, funded_at = at, updated_at = at
    where id = p_escrow;
    delete from timers where kind = 'UNFUNDED' and subject = t.id;
    perform hx_timer('FUNDS_HELD', e.id, at + interval '60 days');
    earlier := stop_for_earlier_taking(p_escrow, p_payment);
    if earlier is not null then
        return earlier || jsonb_build_object('task_id', t.id, 'subject_id', e.id);
    end if;
    if t.mode = 'STANDARD' and not account_is_active(t.poster_id) then
        perform hold_for_operator(t);
    end if;
    if t.mode = 'STANDARD' or t.deadline <= at then
        -- past its deadline nobody can accept: the DEADLINE timer refunds
        return jsonb_build_object('task_id', t.id, 'subject_id', e.id);
    end if;
    b := start_broadcast(t, p_plan);
    if b.id is null then
        return jsonb_build_object('task_id', t.id, 'subject_id', e.id);
    end if;
    return jsonb_build_object(
        'task_id', t.id,
        'subject_id', e.id,
        'started', jsonb_build_array(b.id),
        'events', append_events(jsonb_build_array(broadcast_event(b.id, t.poster_id)))
    );
end;
$$;

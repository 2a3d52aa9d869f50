-- What a broadcaster keeps of running broadcasts, and what a first wave is found by.

-- What a wave needs to know of a task. p_price: of the escrow that pays for it, which a task that waits for
-- a replacement does not show yet.
create or replace function task_params(t tasks, p_price integer) returns jsonb
language sql stable
return jsonb_build_object(
    'task_id', t.id,
    'poster_id', t.poster_id,
    'lat', t.location_lat,
    'lng', t.location_lng,
    'place_lat', t.place_lat,
    'place_lng', t.place_lng,
    'category', t.category,
    'price_cents', p_price,
    'created_at', t.created_at,
    'deadline', t.deadline,
    'estimated_minutes', t.estimated_minutes,
    'required_trust_tier', t.required_trust_tier,
    'required_trade', t.required_trade,
    'insurance_required', t.insurance_required,
    'background_check_required', t.background_check_required
);

-- What a broadcaster keeps of a running broadcast, with the card that its hustlers share; a funded task's
-- place, price, category, demands and deadline never change, and its words not while it is on offer.
create or replace function broadcast_params(b live_broadcasts, t tasks) returns jsonb
language sql stable
return task_params(t, t.price) || jsonb_build_object(
    'id', b.id,
    'partition', b.partition,
    'started_at', b.started_at,
    'expires_at', b.expires_at,
    'initial_radius_miles', b.initial_radius_miles,
    'max_radius_miles', b.max_radius_miles,
    'expansion_step_miles', b.expansion_step_miles,
    'expansion_interval_s', b.expansion_interval_s,
    'card', broadcast_card(b)
);

-- A task whose next broadcast starts from p_state: MATCHING for a payment, ACCEPTED for a release. With its
-- version, for what it asks may be edited before the money comes. Null where none would start.
create or replace function starting_task(t tasks, p_price integer, p_state text) returns jsonb
language sql stable
return (
    select case
        when t.mode = 'LIVE' and t.state = p_state and coalesce(t.deadline > clock.at, true)
            and not exists (
                select from live_broadcasts as b where b.task_id = t.id and b.state = 'ACTIVE'
            )
            then jsonb_build_object(
                'now', clock.at, 'version', t.version, 'task', task_params(t, p_price)
            )
    end
    from (select hx_clock() as at) as clock
);

-- The task that its hustler may give back, whose successor would be on offer at once.
create or replace function task_of_release(p_task uuid) returns jsonb
language sql stable
return (select starting_task(t, t.price, 'ACCEPTED') from tasks as t where t.id = p_task);

-- Those of these broadcasts that run.
create or replace function wave_broadcasts(p_ids uuid[]) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'now', max(clock.at),
        'broadcasts', coalesce(jsonb_agg(broadcast_params(b, t)) filter (where b.id is not null), '[]')
    )
    from (select hx_clock() as at) as clock
    left join live_broadcasts as b
        on b.id = any(p_ids) and broadcast_runs(b, clock.at)
    left join tasks as t on t.id = b.task_id
);

-- How broadcasts ended: one that is ACTIVE past its time has EXPIRED, swept or not.
create or replace function wave_endings(p_ids uuid[]) returns jsonb
language sql stable
return (
    select coalesce(jsonb_agg(jsonb_build_object(
        'id', b.id,
        'state', case b.state when 'ACTIVE' then 'EXPIRED' else b.state end,
        'radius_miles', broadcast_radius_miles(b, b.expires_at),
        'hustlers_notified', (select count(*) from offers as o where o.broadcast_id = b.id)
    )), '[]')
    from live_broadcasts as b
    where b.id = any(p_ids) and not broadcast_runs(b, hx_clock())
);

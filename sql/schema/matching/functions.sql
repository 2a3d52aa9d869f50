-- Who may be offered what, how far a broadcast reaches, and what a broadcaster asks.

-- Eligibility is a gate (design §5): the one rule behind broadcast, accept and feed. An expression alone,
-- so that a wave has it in its plan; a property test holds it, the clauses below and the twin equal.
create or replace function eligible(task tasks, hustler users, profile hustler_profiles) returns boolean
language sql immutable
return may_work(hustler.role)
    and hustler.account_status = 'ACTIVE'
    and hustler.id <> task.poster_id
    and hustler.trust_tier >= task.required_trust_tier
    and (task.required_trade is null or task.required_trade = any(profile.verified_trades))
    and (profile.insurance_valid or not task.insurance_required)
    and (profile.background_check_valid or not task.background_check_required);

-- The same clause by clause: what the task needs (null: nothing), what the hustler has, whether it does.
-- Twin of engine/matching/eligibility.py, by the names of the clauses.
create or replace function eligibility_clauses(task tasks, hustler users, profile hustler_profiles)
returns table (clause text, needed text, has text, ok boolean)
language sql immutable
begin atomic
    select c.clause, c.needed, c.has, c.ok
    from (
        values
        ('role', 'one that may work', hustler.role, may_work(hustler.role)),
        ('account', 'ACTIVE', hustler.account_status, hustler.account_status = 'ACTIVE'),
        (
            'not the own task', 'another''s',
            case when hustler.id = task.poster_id then 'own' else 'another''s' end,
            hustler.id <> task.poster_id
        ),
        (
            'trust tier', task.required_trust_tier::text, hustler.trust_tier::text,
            hustler.trust_tier >= task.required_trust_tier
        ),
        (
            'trade', task.required_trade, array_to_string(profile.verified_trades, ', '),
            task.required_trade is null or task.required_trade = any(profile.verified_trades)
        ),
        (
            'insurance', case when task.insurance_required then 'valid' end,
            case when profile.insurance_valid then 'valid' else 'none' end,
            profile.insurance_valid or not task.insurance_required
        ),
        (
            'background check', case when task.background_check_required then 'valid' end,
            case when profile.background_check_valid then 'valid' else 'none' end,
            profile.background_check_valid or not task.background_check_required
        )
    ) as c (clause, needed, has, ok);
end;

-- The same for an accept, which knows the ids.
create or replace function eligible(p_task uuid, p_hustler uuid) returns boolean
language sql stable
return coalesce(
    (
        select eligible(t, u, p)
        from tasks as t
        cross join users as u
        inner join hustler_profiles as p on p.user_id = u.id
        where t.id = p_task and u.id = p_hustler
    ),
    false
);

-- ── Radius plan (LIVE-4, LIVE-5) ────────────────────────────────────────────────────────────────
-- Whole steps since the start; after the end, those that were reached before it.
create or replace function broadcast_steps(b live_broadcasts, at timestamptz) returns integer
language sql immutable
return greatest(floor(
    extract(epoch from (
        least(at, coalesce(b.ended_at, b.expires_at) - interval '1 microsecond') - b.started_at
    )) / b.expansion_interval_s
), 0)::integer;

-- Twin of broadcast/radius_plan.py: 3, 5, 7, 9, 10 miles at 0, 60, 120, 180, 240 s.
create or replace function broadcast_radius_miles(b live_broadcasts, at timestamptz) returns double precision
language sql immutable
return least(
    b.initial_radius_miles + b.expansion_step_miles * broadcast_steps(b, at), b.max_radius_miles
);

-- Null when the radius never grows again. The step may not fall on the end or behind it.
create or replace function broadcast_next_expansion_at(b live_broadcasts, at timestamptz) returns timestamptz
language sql immutable
return (
    select next.due_at
    from (
        select b.started_at
            + make_interval(secs => b.expansion_interval_s) * (broadcast_steps(b, at) + 1) as due_at
    ) as next
    where next.due_at < coalesce(b.ended_at, b.expires_at)
        and broadcast_radius_miles(b, at) < b.max_radius_miles
);

-- ── What an offer stands on ─────────────────────────────────────────────────────────────────────
-- LIVE-5: a broadcast runs while it is ACTIVE and unexpired, whether or not anyone swept.
create or replace function broadcast_runs(b live_broadcasts, at timestamptz) returns boolean
language sql immutable
return b.state = 'ACTIVE' and b.expires_at > at;

-- is_busy() for many hustlers at once: a condition that the planner joins on, where the function
-- would be called for each. A test holds the two equal.
create or replace function counts_as_busy(t tasks) returns boolean
language sql immutable
return t.state = 'WORKING' or (t.state = 'ACCEPTED' and t.mode = 'LIVE');

-- The least and the greatest id of a broadcast that runs. Every open offer has one between them, so a
-- hustler's past, and every other month, is left out of what is read.
create or replace function first_running_broadcast() returns uuid
language sql stable
return (
    select b.id from live_broadcasts as b where b.state = 'ACTIVE' order by b.id limit 1
);

create or replace function last_running_broadcast() returns uuid
language sql stable
return (
    select b.id from live_broadcasts as b where b.state = 'ACTIVE' order by b.id desc limit 1
);

-- An offer is open while its broadcast runs, it is unanswered, and its hustler is ACTIVE and not
-- busy (design §2, Live mode). Derived, never written by others.
create or replace function open_offers(p_hustlers uuid[], at timestamptz) returns setof offers
language sql stable
begin atomic
    select o.*
    from live_status as s
    inner join offers as o on o.hustler_id = s.user_id
    inner join live_broadcasts as b on b.id = o.broadcast_id
    where s.user_id = any(p_hustlers)
        and live_state(s, at) = 'ACTIVE'
        and not exists (
            select from tasks as t where t.assigned_hustler_id = s.user_id and counts_as_busy(t)
        )
        and o.response is null
        and o.broadcast_id between (select first_running_broadcast()) and (select last_running_broadcast())
        and broadcast_runs(b, at);
end;

-- How many places of each hustler unanswered offers of running broadcasts take; p_hustlers are distinct.
-- The offers are read first, and the broadcast of each by its key: whatever the statistics say, nobody's
-- count costs what runs elsewhere. `offset 0` keeps the planner from joining in another order.
create or replace function places_taken(
    p_hustlers uuid[], p_first uuid, p_last uuid, at timestamptz
) returns table (hustler_id uuid, taken bigint)
language sql stable
begin atomic
    select
        h.id,
        (
            select count(*)
            from (
                select o.broadcast_id from offers as o
                where o.hustler_id = h.id and o.response is null
                    and o.broadcast_id between p_first and p_last
                offset 0
            ) as o
            where (select broadcast_runs(b, at) from live_broadcasts as b where b.id = o.broadcast_id)
        )
    from unnest(p_hustlers) as h (id);
end;

-- Everyone who released this task or one before it: never offered it again (design §2, Task).
create or replace function releasers(p_task uuid) returns uuid[]
language sql stable
return (
    with recursive lineage as (
        select t.predecessor_id from tasks as t where t.id = p_task
        union all
        select t.predecessor_id from lineage inner join tasks as t on t.id = lineage.predecessor_id
    )
    select coalesce(array_agg(t.assigned_hustler_id), '{}')
    from lineage inner join tasks as t on t.id = lineage.predecessor_id
    where t.cancel_reason = 'HUSTLER_RELEASED'
);

-- The newest tasks of a category: how many of them, what they cost together, and since when.
create or replace function category_prices(p_category text)
returns table (tasks bigint, total_cents bigint, since timestamptz)
language sql stable
begin atomic
    select count(*), coalesce(sum(n.price), 0), min(n.created_at)
    from (
        select o.price, o.created_at from tasks as o
        where o.category = p_category
        order by o.created_at desc
        limit market_tasks_max()
    ) as n;
end;

-- A task's market is the mean of the others among them; too few are none (market_tasks_min).
create or replace function market_price_cents(task tasks) returns double precision
language sql stable
return (
    select
        case
            when n.tasks - n.own >= market_tasks_min()
                then (n.total_cents - n.own * task.price)::double precision / (n.tasks - n.own)
        end
    from (
        select p.*, (task.created_at >= p.since)::integer as own from category_prices(task.category) as p
    ) as n
);

-- The same for all categories at once, for those who judge many tasks by it: twin of
-- broadcast/market_prices.py.
create or replace function market_prices() returns jsonb
language sql stable
return (
    -- one step along the index for each category, however many tasks it has
    with recursive known as (
        (select t.category from tasks as t order by t.category limit 1)
        union all
        select (
            select t.category from tasks as t
            where t.category > known.category order by t.category limit 1
        )
        from known where known.category is not null
    )

    select jsonb_build_object(
        'at', hx_clock(),
        'categories', coalesce(jsonb_object_agg(known.category, jsonb_build_object(
            'tasks', n.tasks, 'total_cents', n.total_cents, 'since', n.since
        )), '{}')
    )
    from known cross join lateral category_prices(known.category) as n
    where known.category is not null
);

-- ── The wave ────────────────────────────────────────────────────────────────────────────────────
-- What a hustler reads as the distance: to a tenth of a mile, measured to the rounded place.
create or replace function shown_miles(miles double precision) returns double precision
language sql immutable
return round(miles::numeric, 1)::double precision;

-- Words for where a task is, for those who may not know its place. An address is what its poster
-- wrote, so nothing of it is told but a town in the postal form, "…, Town, ST 12345"; else the
-- centre of the cell that everybody sees, to a hundredth of a degree.
create or replace function place_words(t tasks) returns text
language sql stable
return coalesce(
    array_to_string(
        regexp_match(
            t.location_address,
            ',\s*([^,0-9]{2,40}?)\s*,\s*([A-Z]{2})(?:\s+\d{5}(?:-\d{4})?)?'
            || '\s*(?:,\s*(?:USA|US|United States)\s*)?$'
        ),
        ', '
    ),
    format(
        'near %s° %s, %s° %s',
        to_char(abs(t.place_lat), 'FM990.00'),
        case when t.place_lat < 0 then 'S' else 'N' end,
        to_char(abs(t.place_lng), 'FM990.00'),
        case when t.place_lng < 0 then 'W' else 'E' end
    )
);

-- A broadcast's card without what differs by hustler (contract, LIVE_TASK_BROADCAST).
create or replace function broadcast_card(b live_broadcasts) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'broadcast_id', b.id,
        'task', jsonb_build_object(
            'id', t.id,
            'version', t.version,
            'title', t.title,
            'description', t.description,
            'category', t.category,
            'price_cents', t.price,
            'hustler_pay_cents', t.price - platform_fee_cents(t.price),
            'location', jsonb_build_object('lat', t.place_lat, 'lng', t.place_lng, 'place', place_words(t)),
            'distance_miles', 0,
            'deadline', t.deadline,
            'xp_multiplier', live_xp_multiplier()
        ),
        'matching_score', 0,
        'expires_at', b.expires_at,
        'poster', jsonb_build_object('first_name', u.first_name, 'trust_tier', u.trust_tier)
    )
    from tasks as t inner join users as u on u.id = t.poster_id
    where t.id = b.task_id
);

-- The card of one offer: WELCOME, GET /v1/offers.
create or replace function offer_card(o offers) returns jsonb
language sql stable
return (
    select jsonb_set(
        broadcast_card(b), '{task,distance_miles}', to_jsonb(shown_miles(o.distance_miles))
    ) || jsonb_build_object('matching_score', o.matching_score)
    from live_broadcasts as b where b.id = o.broadcast_id
);

-- Offers to be delivered; the card that those of a broadcast share comes with it (broadcast_params), so
-- that a thousand recipients cost one: {at, offers: [[broadcast, hustler, shown miles, score], …]}.
create or replace function wave_json(p_offers offers[]) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'at', max(o.offered_at),
        'offers', coalesce(jsonb_agg(jsonb_build_array(
            o.broadcast_id, o.hustler_id, shown_miles(o.distance_miles), o.matching_score
        ) order by o.n), '[]')
    )
    from unnest(p_offers) with ordinality as o (
        broadcast_id, hustler_id, task_id, offered_at, distance_miles, matching_score, sent_at,
        responded_at, response, decline_reason, n
    )
);

-- Whether an offer that no socket took has waited for p_age. One from the future was made before the
-- clock was set back: nobody knows for how long it has waited, so it has.
create or replace function offer_waits(p_offered_at timestamptz, at timestamptz, p_age interval)
returns boolean
language sql immutable
return p_offered_at < at - p_age or p_offered_at > at;

-- The open offers of these hustlers that no socket took within p_age: to be delivered again.
create or replace function unsent_offers(p_hustlers uuid[], p_age interval, p_limit integer) returns jsonb
language sql stable
return (
    select wave_json(coalesce(array_agg(row(u.*)::offers), '{}'))
    from (
        select o.*
        from (select hx_clock() as at) as clock
        cross join open_offers(p_hustlers, clock.at) as o
        where o.sent_at is null and offer_waits(o.offered_at, clock.at, p_age)
        order by o.offered_at
        limit p_limit
    ) as u
);

-- The slot of a broadcast, by the partition of its place.
create or replace function broadcast_slot(p_partition smallint) returns smallint
language sql immutable
return (p_partition % 16)::smallint;

-- The active set of these slots, of all where none are named, and what time it is.
create or replace function wave_poll(p_slots smallint[]) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'now', clock.at,
        'running', (
            select coalesce(jsonb_agg(b.id), '[]') from live_broadcasts as b
            where b.state = 'ACTIVE' and b.expires_at > clock.at
                and (p_slots is null or broadcast_slot(b.partition) = any(p_slots))
        )
    )
    from (select hx_clock() as at) as clock
);

-- The wave: who may be offered what, how far a broadcast reaches, and the one insert of offers.

-- The market price looks at the newest tasks of a category.
create index tasks_market on tasks (category, created_at desc);
-- Who is busy, without the tasks of the past.
create index tasks_in_work on tasks (assigned_hustler_id) where state in ('ACCEPTED', 'WORKING');

-- Eligibility is a gate (design §5): the one rule behind broadcast, accept and feed.
-- Twin of engine/matching/eligibility.py; a property test holds them equal.
create function eligible(task tasks, hustler users, profile hustler_profiles) returns boolean
language sql immutable
return may_work(hustler.role)
    and hustler.account_status = 'ACTIVE'
    and hustler.id <> task.poster_id
    and hustler.trust_tier >= task.required_trust_tier
    and (task.required_trade is null or task.required_trade = any(profile.verified_trades))
    and (profile.insurance_valid or not task.insurance_required)
    and (profile.background_check_valid or not task.background_check_required);

-- The same for an accept, which knows the ids.
create function eligible(p_task uuid, p_hustler uuid) returns boolean
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

-- ── Radius plan (LIVE-4, LIVE-5) ───────────────────────────────────────────────────────────────
-- Whole steps since the start; after the end, those that were reached before it.
create function broadcast_steps(b live_broadcasts, at timestamptz) returns integer
language sql immutable
return greatest(floor(
    extract(epoch from (
        least(at, coalesce(b.ended_at, b.expires_at) - interval '1 microsecond') - b.started_at
    )) / b.expansion_interval_s
), 0)::integer;

-- Twin of broadcast/radius_plan.py: 3, 5, 7, 9, 10 miles at 0, 60, 120, 180, 240 s.
create function broadcast_radius_miles(b live_broadcasts, at timestamptz) returns double precision
language sql immutable
return least(
    b.initial_radius_miles + b.expansion_step_miles * broadcast_steps(b, at), b.max_radius_miles
);

-- Null when the radius never grows again. The step may not fall on the end or behind it.
create function broadcast_next_expansion_at(b live_broadcasts, at timestamptz) returns timestamptz
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

-- ── What an offer stands on ────────────────────────────────────────────────────────────────────
-- LIVE-5: a broadcast runs while it is ACTIVE and unexpired, whether or not anyone swept.
create function broadcast_runs(b live_broadcasts, at timestamptz) returns boolean
language sql immutable
return b.state = 'ACTIVE' and b.expires_at > at;

-- is_busy() for many hustlers at once: a condition that the planner joins on, where the function
-- would be called for each. A test holds the two equal.
create function makes_busy(t tasks) returns boolean
language sql immutable
return t.state = 'WORKING' or (t.state = 'ACCEPTED' and t.mode = 'LIVE');

-- No offer of a running broadcast is older than this: it keeps a hustler's past out of every count.
-- Only a place to begin in the index: make_offers() stamps no offer earlier than its broadcast began,
-- however far the clock was set back in between; the minute is for rows that others write.
create index live_broadcasts_running on live_broadcasts (started_at) where state = 'ACTIVE';
create function offers_since() returns timestamptz
language sql stable
return (
    select min(b.started_at) - interval '1 minute' from live_broadcasts as b where b.state = 'ACTIVE'
);

-- An offer is open while its broadcast runs, it is unanswered, and its hustler is ACTIVE and not
-- busy (design §2, Live mode). Derived, never written by others.
create function open_offers(p_hustlers uuid[], at timestamptz) returns setof offers
language sql stable
begin atomic
    select o.*
    from live_status as s
    inner join offers as o on o.hustler_id = s.user_id
    inner join live_broadcasts as b on b.id = o.broadcast_id
    where s.user_id = any(p_hustlers)
        and live_state(s, at) = 'ACTIVE'
        and not exists (
            select from tasks as t where t.assigned_hustler_id = s.user_id and makes_busy(t)
        )
        and o.response is null
        and o.offered_at >= (select offers_since())
        and broadcast_runs(b, at);
end;

-- Everyone who released this task or one before it: never offered it again (design §2, Task).
create function releasers(p_task uuid) returns uuid[]
language sql stable
return (
    with recursive line as (
        select t.predecessor_id from tasks as t where t.id = p_task
        union all
        select t.predecessor_id from line inner join tasks as t on t.id = line.predecessor_id
    )
    select coalesce(array_agg(t.assigned_hustler_id), '{}')
    from line inner join tasks as t on t.id = line.predecessor_id
    where t.cancel_reason = 'HUSTLER_RELEASED'
);

-- The mean of the category's newest 200 other tasks; null below 20, which are no market.
create function market_price_cents(task tasks) returns double precision
language sql stable
return (
    select case when count(*) >= 20 then avg(n.price)::double precision end
    from (
        select o.price from tasks as o
        where o.category = task.category and o.id <> task.id
        order by o.created_at desc
        limit 200
    ) as n
);

-- ── The wave ───────────────────────────────────────────────────────────────────────────────────
-- One row per pair asked: the verdict, how many open offers the hustler has, and what the score
-- needs of the hustler. The verdict is OFFER, or the first rule that forbids it:
--   OVER            the broadcast has ended (LIVE-5)
--   OFFERED         the pair has its offer: nobody twice within a broadcast
--   RELEASED        the hustler gave this work back
--   NOT_ACTIVE      LIVE mode is off, cooling down or paused (LIVE-3)
--   BUSY            the hustler holds a task
--   NOT_ELIGIBLE    the gate
--   OWN_RADIUS      farther than the hustler wants; p_distances are miles between exact places
--   OWN_CATEGORIES  not what the hustler wants
create function wave_verdicts(
    p_broadcasts uuid[], p_hustlers uuid[], p_distances double precision[]
) returns table (
    n bigint,
    verdict text,
    open_offers bigint,
    broadcast_id uuid,
    hustler_id uuid,
    task_id uuid,
    trust_tier double precision,
    completion_rate double precision,
    approval_rate double precision,
    category_preferred double precision,
    category_count double precision,
    minimum_price_cents double precision,
    available_hours double precision
)
language plpgsql stable
-- One plan, of index look-ups alone: planning for each array would take longer than the answer, and
-- a plan must not depend on how little a table held when the connection first asked.
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = 'off'
as $$
#variable_conflict use_column
declare
    at timestamptz := hx_clock();
    since timestamptz := offers_since();
begin
    return query
    select
        a.n,
        case
            when not coalesce(broadcast_runs(b, at) and t.state = 'MATCHING', false) then 'OVER'
            when exists (
                select from offers as o
                where o.broadcast_id = a.broadcast_id and o.hustler_id = a.hustler_id
            ) then 'OFFERED'
            when t.predecessor_id is not null and a.hustler_id = any(releasers(t.id))
                then 'RELEASED'
            when coalesce(live_state(s, at), 'OFF') <> 'ACTIVE' then 'NOT_ACTIVE'
            when exists (
                select from tasks as held
                where held.assigned_hustler_id = a.hustler_id and makes_busy(held)
            ) then 'BUSY'
            when not coalesce(eligible(t, u, p), false) then 'NOT_ELIGIBLE'
            when a.distance_miles > s.radius_miles then 'OWN_RADIUS'
            when t.category <> all(s.categories) then 'OWN_CATEGORIES'
            else 'OFFER'
        end,
        (
            select count(*)
            from offers as o
            inner join live_broadcasts as other on other.id = o.broadcast_id
            where o.hustler_id = a.hustler_id and o.response is null
                and o.offered_at >= since and broadcast_runs(other, at)
        ),
        a.broadcast_id,
        a.hustler_id,
        t.id,
        u.trust_tier::double precision,
        p.completion_rate,
        p.approval_rate,
        (t.category = any(p.preferred_categories))::integer::double precision,
        case jsonb_typeof(p.category_counts -> t.category)
            when 'number' then (p.category_counts -> t.category)::double precision
        end,
        p.minimum_price_cents::double precision,
        p.available_minutes / 60.0::double precision
    from unnest(p_broadcasts, p_hustlers, p_distances)
        with ordinality as a (broadcast_id, hustler_id, distance_miles, n)
    left join live_broadcasts as b on b.id = a.broadcast_id
    left join tasks as t on t.id = b.task_id
    left join users as u on u.id = a.hustler_id
    left join hustler_profiles as p on p.user_id = a.hustler_id
    left join live_status as s on s.user_id = a.hustler_id;
end;
$$;

-- What a hustler reads as the distance: to a tenth of a mile, measured to the rounded place.
create function shown_miles(miles double precision) returns double precision
language sql immutable
return round(miles::numeric, 1)::double precision;

-- Words for where a task is, for those who may not know its place. An address is what its poster
-- wrote, so nothing of it is told but a town in the postal form, "…, Town, ST 12345"; else the
-- centre of the cell that everybody sees, to a hundredth of a degree.
create function place_words(t tasks) returns text
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
create function broadcast_card(b live_broadcasts) returns jsonb
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
            'xp_multiplier', 1.25
        ),
        'matching_score', 0,
        'expires_at', b.expires_at,
        'poster', jsonb_build_object('first_name', u.first_name, 'trust_tier', u.trust_tier)
    )
    from tasks as t inner join users as u on u.id = t.poster_id
    where t.id = b.task_id
);

-- The card of one offer: WELCOME, GET /v1/offers.
create function offer_card(o offers) returns jsonb
language sql stable
return (
    select jsonb_set(
        broadcast_card(b), '{task,distance_miles}', to_jsonb(shown_miles(o.distance_miles))
    ) || jsonb_build_object('matching_score', o.matching_score)
    from live_broadcasts as b where b.id = o.broadcast_id
);

-- Offers and the cards they share, so that a thousand recipients cost one card:
-- {at, offers: [[broadcast, hustler, shown miles, score], …], cards: [card of each broadcast]}.
create function wave_json(p_offers offers[]) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'at', max(o.offered_at),
        'offers', coalesce(jsonb_agg(jsonb_build_array(
            o.broadcast_id, o.hustler_id, shown_miles(o.distance_miles), o.matching_score
        ) order by o.n), '[]'),
        'cards', (
            select coalesce(jsonb_agg(broadcast_card(b)), '[]')
            from live_broadcasts as b
            where b.id in (select m.broadcast_id from unnest(p_offers) as m)
        )
    )
    from unnest(p_offers) with ordinality as o (
        broadcast_id, hustler_id, task_id, offered_at, distance_miles, matching_score, sent_at,
        responded_at, response, decline_reason, n
    )
);

-- The one insert of offers. Every rule is judged again in this statement; what it returns is
-- delivered, nothing else. Of a hustler's several new offers the best scored fill the free places.
-- p_exact: miles between exact places (the radius); p_distances: to the rounded place (the card).
create function make_offers(
    p_broadcasts uuid[],
    p_hustlers uuid[],
    p_exact double precision[],
    p_distances double precision[],
    p_scores double precision[],
    p_open_max integer
) returns jsonb
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    made offers[];
begin
    with granted as (
        select
            v.broadcast_id,
            v.hustler_id,
            v.task_id,
            a.distance_miles,
            a.score,
            v.open_offers + row_number() over (
                partition by v.hustler_id order by a.score desc, v.n
            ) as place
        from wave_verdicts(p_broadcasts, p_hustlers, p_exact) as v
        inner join unnest(p_distances, p_scores) with ordinality as a (distance_miles, score, n)
            on a.n = v.n
        where v.verdict = 'OFFER'
    ),

    inserted as (
        insert into offers (
            broadcast_id, hustler_id, task_id, offered_at, distance_miles, matching_score
        )
        select
            g.broadcast_id, g.hustler_id, g.task_id, greatest(at, b.started_at), g.distance_miles,
            g.score
        from granted as g inner join live_broadcasts as b on b.id = g.broadcast_id
        where g.place <= p_open_max
        on conflict (broadcast_id, hustler_id) do nothing
        returning *
    )

    select array_agg(i::offers order by i.matching_score desc, i.hustler_id) into made
    from inserted as i;
    return wave_json(coalesce(made, '{}'));
end;
$$;

-- When a card was first written to a socket. Rows that somebody else holds are left: the card is
-- sent again and reported again.
create function offers_sent(
    p_broadcasts uuid[], p_hustlers uuid[], p_ages_s double precision[]
) returns bigint
language sql
as $$
    with free as (
        select o.broadcast_id, o.hustler_id, r.age_s
        from unnest(p_broadcasts, p_hustlers, p_ages_s) as r (broadcast_id, hustler_id, age_s)
        inner join offers as o on o.broadcast_id = r.broadcast_id and o.hustler_id = r.hustler_id
        where o.sent_at is null
        for no key update of o skip locked
    ),

    marked as (
        update offers as o
        set sent_at = greatest(clock.at - make_interval(secs => f.age_s), o.offered_at)
        from free as f cross join (select hx_clock() as at offset 0) as clock
        where o.broadcast_id = f.broadcast_id and o.hustler_id = f.hustler_id
        returning 1
    )

    select count(*) from marked;
$$;

-- Whether an offer that no socket took has waited for p_age. One from the future was made before the
-- clock was set back: nobody knows for how long it has waited, so it has.
create function offer_waits(p_offered_at timestamptz, at timestamptz, p_age interval) returns boolean
language sql immutable
return p_offered_at < at - p_age or p_offered_at > at;

-- The open offers of these hustlers that no socket took within p_age: to be delivered again.
create function unsent_offers(p_hustlers uuid[], p_age interval, p_limit integer) returns jsonb
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

-- The active set, once a second: who runs, what time it is, and whose cards wait for too long: the
-- newest first, so that those who are away cannot keep the others out of p_limit.
create function wave_pulse(p_age interval, p_limit integer) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'now', clock.at,
        'running', (
            select coalesce(jsonb_agg(b.id), '[]') from live_broadcasts as b
            where b.state = 'ACTIVE' and b.expires_at > clock.at
        ),
        'unsent', (
            select coalesce(jsonb_agg(u.hustler_id), '[]')
            from (
                select o.hustler_id
                from live_broadcasts as b
                inner join offers as o on o.broadcast_id = b.id
                where b.state = 'ACTIVE' and b.expires_at > clock.at
                    and o.sent_at is null and o.response is null
                    and offer_waits(o.offered_at, clock.at, p_age)
                group by o.hustler_id
                order by max(o.offered_at) desc
                limit p_limit
            ) as u
        )
    )
    from (select hx_clock() as at) as clock
);

-- All that a broadcaster keeps of running broadcasts; a funded task's place, price, category and
-- deadline never change.
create function wave_broadcasts(p_ids uuid[]) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'now', max(clock.at),
        'broadcasts', coalesce(jsonb_agg(jsonb_build_object(
            'id', b.id,
            'task_id', t.id,
            'poster_id', t.poster_id,
            'started_at', b.started_at,
            'expires_at', b.expires_at,
            'initial_radius_miles', b.initial_radius_miles,
            'max_radius_miles', b.max_radius_miles,
            'expansion_step_miles', b.expansion_step_miles,
            'expansion_interval_s', b.expansion_interval_s,
            'lat', t.location_lat,
            'lng', t.location_lng,
            'place_lat', t.place_lat,
            'place_lng', t.place_lng,
            'category', t.category,
            'price_cents', t.price,
            'created_at', t.created_at,
            'deadline', t.deadline,
            'market_price_cents', market_price_cents(t),
            'hustlers_notified', (
                select count(*) from offers as o where o.broadcast_id = b.id
            )
        )) filter (where b.id is not null), '[]')
    )
    from (select hx_clock() as at) as clock
    left join live_broadcasts as b
        on b.id = any(p_ids) and broadcast_runs(b, clock.at)
    left join tasks as t on t.id = b.task_id
);

-- How broadcasts ended: one that is ACTIVE past its time has EXPIRED, swept or not.
create function wave_endings(p_ids uuid[]) returns jsonb
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

-- The wave: who is offered what, and the one insert of offers.
-- What a broadcaster keeps of hustlers, in the order asked: whether they can be offered work at all, what
-- a task may demand, and what the score needs. Advice: make_offers judges again. `changes_at` is when time
-- changes the LIVE state next; whoever is unknown is never offerable.
create or replace function roster(p_hustlers uuid[]) returns table (
    hustler_id uuid,
    active boolean,
    changes_at timestamptz,
    busy boolean,
    works boolean,
    open_offers bigint,
    trust_tier double precision,
    verified_trades text[],
    insurance_valid boolean,
    background_check_valid boolean,
    completion_rate double precision,
    approval_rate double precision,
    preferred_categories text[],
    category_counts jsonb,
    minimum_price_cents double precision,
    available_hours double precision,
    radius_miles double precision,
    categories text[]
)
language plpgsql stable
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = 'off'
as $$
#variable_conflict use_column
declare
    at timestamptz := hx_clock();
    first_running uuid := first_running_broadcast();
    last_running uuid := last_running_broadcast();
begin
    return query
    select
        a.hustler_id,
        coalesce(live_state(s, at) = 'ACTIVE', false),
        live_state_changes_at(s, at),
        coalesce(
            (
                select true from tasks as held
                where held.assigned_hustler_id = a.hustler_id and counts_as_busy(held)
                limit 1
            ),
            false
        ),
        coalesce(may_work(u.role) and u.account_status = 'ACTIVE' and p.user_id is not null, false),
        a.taken,
        u.trust_tier::double precision,
        coalesce(p.verified_trades, '{}'),
        coalesce(p.insurance_valid, false),
        coalesce(p.background_check_valid, false),
        p.completion_rate,
        p.approval_rate,
        coalesce(p.preferred_categories, '{}'),
        coalesce(p.category_counts, '{}'),
        p.minimum_price_cents::double precision,
        p.available_minutes / 60.0::double precision,
        s.radius_miles,
        s.categories
    from places_taken(p_hustlers, first_running, last_running, at)
        with ordinality as a (hustler_id, taken, n)
    left join users as u on u.id = a.hustler_id
    left join hustler_profiles as p on p.user_id = a.hustler_id
    left join live_status as s on s.user_id = a.hustler_id
    order by a.n;
end;
$$;

-- One row per pair asked: OFFER, or the first rule that forbids it:
--   OVER            the broadcast has ended (LIVE-5)
--   OFFERED         the pair has its offer: nobody twice within a broadcast
--   RELEASED        the hustler gave this work back
--   NOT_ACTIVE      LIVE mode is off, cooling down or paused (LIVE-3)
--   BUSY            the hustler holds a task
--   NOT_ELIGIBLE    the gate
--   OWN_RADIUS      farther than the hustler wants; p_distances are miles between exact places
--   OWN_CATEGORIES  not what the hustler wants
create or replace function wave_eligibility(
    p_broadcasts uuid[], p_hustlers uuid[], p_distances double precision[]
) returns table (n bigint, result text, broadcast_id uuid, hustler_id uuid, task_id uuid)
language plpgsql stable
-- One plan, of index look-ups alone: planning for each array would take longer than the answer, and
-- a plan must not depend on how little a table held when the connection first asked. For the same reason
-- it asks by scalar subqueries: of an `exists` the planner may make one look at everything that runs.
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = 'off'
as $$
#variable_conflict use_column
declare
    at timestamptz := hx_clock();
    first_running uuid := first_running_broadcast();
    last_running uuid := last_running_broadcast();
begin
    return query
    select
        a.n,
        case
            when not coalesce(broadcast_runs(b, at) and t.state = 'MATCHING', false) then 'OVER'
            when (
                select true from offers as o
                where o.broadcast_id = a.broadcast_id and o.hustler_id = a.hustler_id
                    and o.broadcast_id between first_running and last_running
            ) then 'OFFERED'
            when t.predecessor_id is not null and a.hustler_id = any(releasers(t.id))
                then 'RELEASED'
            when coalesce(live_state(s, at), 'OFF') <> 'ACTIVE' then 'NOT_ACTIVE'
            when (
                select true from tasks as held
                where held.assigned_hustler_id = a.hustler_id and counts_as_busy(held)
                limit 1
            ) then 'BUSY'
            when not coalesce(eligible(t, u, p), false) then 'NOT_ELIGIBLE'
            when a.distance_miles > s.radius_miles then 'OWN_RADIUS'
            when t.category <> all(s.categories) then 'OWN_CATEGORIES'
            else 'OFFER'
        end,
        a.broadcast_id,
        a.hustler_id,
        t.id
    from unnest(p_broadcasts, p_hustlers, p_distances)
        with ordinality as a (broadcast_id, hustler_id, distance_miles, n)
    left join live_broadcasts as b on b.id = a.broadcast_id
    left join tasks as t on t.id = b.task_id
    left join users as u on u.id = a.hustler_id
    left join hustler_profiles as p on p.user_id = a.hustler_id
    left join live_status as s on s.user_id = a.hustler_id;
end;
$$;

-- The one insert of offers. Every rule is checked again in this statement; what it returns is
-- delivered, nothing else, and `refused` says of every other pair why: [[broadcast, hustler, result], …],
-- where FULL is a hustler without a free place. Of a hustler's several new offers the best scored fill
-- the free places.
-- p_exact: miles between exact places (the radius); p_distances: to the rounded place (the card).
create or replace function make_offers(
    p_broadcasts uuid[],
    p_hustlers uuid[],
    p_exact double precision[],
    p_distances double precision[],
    p_scores double precision[],
    p_open_max integer
) returns jsonb
language plpgsql
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = 'off'
as $$
declare
    at timestamptz := hx_clock();
    first_running uuid := first_running_broadcast();
    last_running uuid := last_running_broadcast();
    made offers[];
    refused jsonb;
begin
    with checked as (
        select v.n, v.result, v.broadcast_id, v.hustler_id, v.task_id, a.distance_miles, a.score
        from wave_eligibility(p_broadcasts, p_hustlers, p_exact) as v
        inner join unnest(p_distances, p_scores) with ordinality as a (distance_miles, score, n)
            on a.n = v.n
    ),

    places as (
        select p.hustler_id, p.taken
        from places_taken(
            array(select distinct c.hustler_id from checked as c where c.result = 'OFFER'),
            first_running, last_running, at
        ) as p
    ),

    granted as (
        select
            c.*,
            p.taken + row_number() over (
                partition by c.hustler_id order by c.score desc, c.n
            ) as place
        from checked as c inner join places as p on p.hustler_id = c.hustler_id
        where c.result = 'OFFER'
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

    select
        (select array_agg(i::offers order by i.matching_score desc, i.hustler_id) from inserted as i),
        (
            select jsonb_agg(jsonb_build_array(
                c.broadcast_id, c.hustler_id,
                case
                    when c.result <> 'OFFER' then c.result
                    when g.place > p_open_max then 'FULL'
                    else 'OFFERED'
                end
            ))
            from checked as c left join granted as g on g.n = c.n
            where not exists (
                select from inserted as i
                where i.broadcast_id = c.broadcast_id and i.hustler_id = c.hustler_id
            )
        )
    into made, refused;
    return wave_json(coalesce(made, '{}')) || jsonb_build_object('refused', coalesce(refused, '[]'));
end;
$$;

-- Whom running broadcasts have been offered to, for a broadcaster that takes them over, and whose card no
-- socket took: ids of 16 bytes each, joined.
create or replace function offered_hustlers(p_broadcasts uuid[]) returns table (
    broadcast_id uuid, hustlers bytea, unsent bytea
)
language plpgsql stable
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = 'off'
as $$
#variable_conflict use_column
begin
    return query
    select b.id, coalesce(o.hustlers, ''), coalesce(o.unsent, '')
    from unnest(p_broadcasts) as b (id)
    cross join lateral (
        select
            string_agg(uuid_send(m.hustler_id), ''::bytea) as hustlers,
            string_agg(uuid_send(m.hustler_id), ''::bytea)
                filter (where m.sent_at is null and m.response is null) as unsent
        from offers as m where m.broadcast_id = b.id
    ) as o;
end;
$$;

-- When a card was first written to a socket. Rows that somebody else holds are left: the card is
-- sent again and reported again.
create or replace function offers_sent(
    p_broadcasts uuid[], p_hustlers uuid[], p_ages_s double precision[]
) returns bigint
language plpgsql
as $$
declare
    ids uuid[] := array(select b.id from unnest(p_broadcasts) as b (id) order by b.id);
    -- other months are not even opened
    least_id uuid := ids[1];
    greatest_id uuid := ids[cardinality(ids)];
    counted bigint;
begin
    with free as (
        select o.broadcast_id, o.hustler_id, r.age_s
        from unnest(p_broadcasts, p_hustlers, p_ages_s) as r (broadcast_id, hustler_id, age_s)
        inner join offers as o on o.broadcast_id = r.broadcast_id and o.hustler_id = r.hustler_id
        where o.broadcast_id between least_id and greatest_id and o.sent_at is null
        for no key update of o skip locked
    ),

    marked as (
        update offers as o
        set sent_at = greatest(clock.at - make_interval(secs => f.age_s), o.offered_at)
        from free as f cross join (select hx_clock() as at offset 0) as clock
        where o.broadcast_id = f.broadcast_id and o.hustler_id = f.hustler_id
            and o.broadcast_id between least_id and greatest_id
        returning 1
    )

    select count(*) into counted from marked;
    return counted;
end;
$$;

-- Guards of broadcasts, offers, consent and the accept.

-- HX012: nobody is offered what lies farther than the broadcast reaches now (LIVE-4). HX010: an offer is
-- of its broadcast's task, and born unanswered. One look for a whole wave, which writes hundreds.
-- The distance is to the rounded place, the radius counts to the exact one: what lies between the two is
-- let pass, and so is a broadcaster's clock that runs a little ahead of ours.
create or replace function offer_reach_guard() returns trigger
language plpgsql
as $$
declare
    at timestamptz := hx_clock() + interval '1 second';
    misplaced boolean;
    beyond uuid[];
    miles double precision[];
begin
    select
        bool_or(m.answered or b.task_id is distinct from m.task_id),
        array_agg(m.broadcast_id) filter (where m.farthest > broadcast_radius_miles(b, at)),
        array_agg(m.farthest) filter (where m.farthest > broadcast_radius_miles(b, at))
    into misplaced, beyond, miles
    from (
        select
            o.broadcast_id,
            o.task_id,
            max(o.distance_miles) as farthest,
            bool_or(o.response is not null) as answered
        from made as o
        group by o.broadcast_id, o.task_id
    ) as m
    left join live_broadcasts as b on b.id = m.broadcast_id;
    if misplaced then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if beyond is not null and exists (
        select from unnest(beyond, miles) as m (broadcast_id, farthest)
        inner join live_broadcasts as b on b.id = m.broadcast_id
        inner join tasks as t on t.id = b.task_id
        where m.farthest > broadcast_radius_miles(b, at) * (1 + 1e-9)
            + miles_between(t.location_lat, t.location_lng, t.place_lat, t.place_lng)
    ) then
        perform hx_refuse('HX012', 'ELIGIBILITY');
    end if;
    return null;
end;
$$;

create or replace trigger offer_reach_guard after insert on offers
referencing new table as made
for each statement execute function offer_reach_guard();

-- HX010: an offer stays whose it is and as far away as it was, and an accept or a decline is final
-- (design §2, Live mode).
create or replace function offer_guard() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse('HX010', 'TRANSITION');
    return null;
end;
$$;

create or replace trigger offer_guard before update on offers
for each row when (
    (old.broadcast_id, old.hustler_id, old.task_id, old.distance_miles)
    is distinct from (new.broadcast_id, new.hustler_id, new.task_id, new.distance_miles)
    or (
        old.response in ('ACCEPT', 'DECLINE')
        and (old.response, old.responded_at) is distinct from (new.response, new.responded_at)
    )
)
execute function offer_guard();

-- HX901 (LIVE-1): no broadcast without a FUNDED escrow, locked so that it stays so. HX010: it starts
-- ACTIVE, for a LIVE task that waits, in whose partition it is. HX503: its poster's account is open.
create or replace function live_broadcast_requires_funded_escrow() returns trigger
language plpgsql
as $$
begin
    if not escrow_is_funded(new.task_id) then
        perform hx_refuse('HX901', 'LIVE-1');
    end if;
    if not exists (
        select from tasks as t where t.id = new.task_id and account_is_active(t.poster_id)
    ) then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
    select t.partition into new.partition
    from tasks as t where t.id = new.task_id and t.mode = 'LIVE' and t.state = 'MATCHING';
    if not found or new.state <> 'ACTIVE' or new.accepted_by is not null then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return new;
end;
$$;

create or replace trigger live_broadcast_requires_funded_escrow before insert on live_broadcasts
for each row execute function live_broadcast_requires_funded_escrow();

-- A broadcast stays what it was started as, and once ended never changes (LIVE-1, LIVE-5); who won
-- it is who holds the task.
create or replace function live_broadcast_guard() returns trigger
language plpgsql
as $$
begin
    if old.state <> 'ACTIVE' and old is distinct from new
        or (new.state = 'ACCEPTED') <> (new.accepted_by is not null)
        or new.accepted_by is not null and not exists (
            select from tasks as t
            where t.id = new.task_id and t.state = 'ACCEPTED'
                and t.assigned_hustler_id = new.accepted_by
        )
        or (
            old.id, old.task_id, old.started_at, old.expires_at, old.initial_radius_miles,
            old.max_radius_miles, old.expansion_step_miles, old.expansion_interval_s, old.partition
        ) is distinct from (
            new.id, new.task_id, new.started_at, new.expires_at, new.initial_radius_miles,
            new.max_radius_miles, new.expansion_step_miles, new.expansion_interval_s, new.partition
        )
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return new;
end;
$$;

create or replace trigger live_broadcast_guard before update on live_broadcasts
for each row execute function live_broadcast_guard();

-- LIVE-1: an escrow that leaves FUNDED ends its active broadcast in the same transaction. One that
-- was replaced has none: the broadcast that runs stands on the replacement.
create or replace function escrow_leaving_funded_ends_broadcast() returns trigger
language plpgsql
as $$
begin
    update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock()
    where task_id = old.task_id and state = 'ACTIVE';
    return null;
end;
$$;

create or replace trigger escrow_leaving_funded_ends_broadcast after update of state on escrows
for each row when (old.state = 'FUNDED' and new.state <> 'FUNDED' and old.is_current)
execute function escrow_leaving_funded_ends_broadcast();

-- A task that leaves MATCHING ends its active broadcast, whoever moved it.
create or replace function task_leaving_matching_ends_broadcast() returns trigger
language plpgsql
as $$
begin
    update live_broadcasts
    set
        state = case new.state
            when 'ACCEPTED' then 'ACCEPTED'
            when 'EXPIRED' then 'EXPIRED'
            else 'CANCELLED'
        end,
        accepted_by = case new.state when 'ACCEPTED' then new.assigned_hustler_id end,
        ended_at = hx_clock()
    where task_id = new.id and state = 'ACTIVE';
    return null;
end;
$$;

create or replace trigger task_leaving_matching_ends_broadcast after update of state on tasks
for each row when (old.state = 'MATCHING' and new.state <> 'MATCHING')
execute function task_leaving_matching_ends_broadcast();

-- A yes is said now, whatever its writer claims.
create or replace function acceptance_stamp() returns trigger
language plpgsql
as $$
begin
    new.said_at := hx_clock();
    return new;
end;
$$;

create or replace trigger acceptance_stamp before insert on acceptances
for each row execute function acceptance_stamp();

-- HX801: consent is on record for good.
create or replace trigger acceptances_append_only before update or delete or truncate on acceptances
for each statement execute function append_only('HX801', 'AUDIT-5');

-- What only an accept may do, judged again for every writer:
-- HX013 own task, HX016 funded escrow, HX903 ACTIVE, HX015 broadcast running, HX010 deadline ahead, HX012
-- own offer, eligible, not who gave this work back, and not for a poster whose account is shut, HX014 not
-- busy, HX010 (LIVE-7) just said yes.
create or replace function task_accept_guard() returns trigger
language plpgsql
as $$
declare
    at timestamptz;
    running live_broadcasts;
    own live_status;
    answer offers;
begin
    if new.assigned_hustler_id is null then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if new.assigned_hustler_id = new.poster_id then
        perform hx_refuse('HX013', 'OWN-TASK');
    end if;
    if not escrow_is_funded(new.id) then
        perform hx_refuse('HX016', 'FUNDED');
    end if;
    -- the row that orders a hustler's accepts: what they hold is counted after it
    select s.* into own from live_status as s
    where s.user_id = new.assigned_hustler_id
    for no key update;
    at := hx_clock();
    if new.mode = 'LIVE' then
        if live_state(own, at) is distinct from 'ACTIVE' then
            perform hx_refuse('HX903', 'LIVE-3');
        end if;
        select b.* into running from live_broadcasts as b
        where b.task_id = new.id and b.state = 'ACTIVE' and b.expires_at > at;
        if not found then
            perform hx_refuse('HX015', 'LIVE-5');
        end if;
        select o.* into answer from offers as o
        where o.broadcast_id = running.id and o.hustler_id = new.assigned_hustler_id;
        if not found or answer.response = 'DECLINE' then
            perform hx_refuse('HX012', 'ELIGIBILITY');
        end if;
    elsif new.deadline <= at then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if not eligible(new.id, new.assigned_hustler_id)
        or new.assigned_hustler_id = any(releasers(new.id))
        or not account_is_active(new.poster_id)
    then
        perform hx_refuse('HX012', 'ELIGIBILITY');
    end if;
    if is_busy(new.assigned_hustler_id)
        or new.mode = 'STANDARD'
        and open_standard_tasks(new.assigned_hustler_id) >= standard_tasks_max()
    then
        perform hx_refuse('HX014', 'BUSY');
    end if;
    if not (
        case new.mode
            when 'LIVE' then coalesce(
                answer.response = 'ACCEPT' and just_said(answer.responded_at, at), false
            )
            else exists (
                select from acceptances as a
                where a.task_id = new.id and a.hustler_id = new.assigned_hustler_id
                    and just_said(a.said_at, at)
            )
        end
    ) then
        perform hx_refuse('HX010', 'LIVE-7');
    end if;
    return new;
end;
$$;

create or replace trigger task_accept_guard before update of state on tasks
for each row when (old.state in ('OPEN', 'MATCHING') and new.state = 'ACCEPTED')
execute function task_accept_guard();

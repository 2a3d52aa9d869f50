-- The accept, and every other answer to an offer.

create or replace function accept_outcome(p_outcome text, p_task uuid) returns jsonb
language sql immutable
return jsonb_build_object('outcome', p_outcome, 'task_id', p_task);

create or replace function require_may_work(p_hustler uuid) returns void
language plpgsql
as $$
begin
    if not exists (
        select from users as u
        where u.id = p_hustler and may_work(u.role) and u.account_status = 'ACTIVE'
    ) then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
end;
$$;

-- What concerns the caller alone; asked before any lock and again under it.
create or replace function refuse_caller(t tasks, p_hustler uuid) returns void
language plpgsql
as $$
declare
    own live_status;
    running uuid;
begin
    if p_hustler = any(releasers(t.id)) then
        perform hx_refuse('HX012', 'ELIGIBILITY');
    end if;
    if is_busy(p_hustler) then
        perform hx_refuse('HX014', 'BUSY');
    end if;
    if t.mode = 'LIVE' then
        select s.* into own from live_status as s where s.user_id = p_hustler;
        if live_state(own, hx_clock()) is distinct from 'ACTIVE' then
            perform hx_refuse('HX903', 'LIVE-3');
        end if;
        select b.id into running from live_broadcasts as b where b.task_id = t.id and b.state = 'ACTIVE';
        if not exists (
            select from offers as o
            where o.broadcast_id = running and o.hustler_id = p_hustler
                and o.response is distinct from 'DECLINE'
        ) then
            perform hx_refuse('HX012', 'ELIGIBILITY');
        end if;
    elsif open_standard_tasks(p_hustler) >= standard_tasks_max() then
        perform hx_refuse('HX014', 'BUSY');
    end if;
    -- within the gate, and for a poster whose account is open: one look, for all contenders pay for it
    if not exists (
        select from users as u
        join hustler_profiles as p on p.user_id = u.id
        join users as poster on poster.id = t.poster_id and poster.account_status = 'ACTIVE'
        where u.id = p_hustler and eligible(t, u, p)
    ) then
        perform hx_refuse('HX012', 'ELIGIBILITY');
    end if;
end;
$$;

-- How the task stands for somebody who wants it: null means it can still be had.
create or replace function accept_standing(t tasks, p_hustler uuid) returns text
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
    order by (state = 'ACTIVE') desc, started_at desc
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
create or replace function accept_task(p_hustler uuid, p_task uuid, p_version integer) returns jsonb
language plpgsql
-- A generic plan over partitions looks dear before it is pruned, so each accept would plan anew.
set plan_cache_mode = 'force_generic_plan'
as $$
declare
    t tasks;
    b live_broadcasts;
    s live_status;
    standing text;
    at timestamptz;
    accepts integer;
    events jsonb;
    eta integer;
begin
    -- 1. Without a lock: answer what is decided already, refuse what concerns the caller alone.
    perform require_may_work(p_hustler);
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
    if t.mode = 'LIVE' then
        -- road miles of a straight line, at the speed in town
        select ceil(o.distance_miles * eta_detour() / eta_speed_mph() * 60) into eta from offers as o
        where o.broadcast_id = b.id and o.hustler_id = p_hustler;
    end if;
    -- the hustler's yes is on record before the task is theirs (LIVE-7)
    if t.mode = 'LIVE' then
        update offers set responded_at = at, response = 'ACCEPT'
        where broadcast_id = b.id and hustler_id = p_hustler;
    else
        insert into acceptances (task_id, hustler_id) values (p_task, p_hustler);
    end if;
    perform set_actor(p_hustler, null);
    update tasks
    set
        state = 'ACCEPTED', assigned_hustler_id = p_hustler,
        accepted_at = at, en_route_at = at, eta_at = at + make_interval(mins => eta),
        updated_at = at
    where id = p_task
    returning * into t;
    insert into task_codes (task_id, kind) values (p_task, 'START'), (p_task, 'COMPLETION');
    -- the deadline stays: when it passes, both sides are told
    delete from timers where (kind, subject) in (('BROADCAST_END', b.id));

    if t.mode = 'LIVE' then
        update live_sessions
        set tasks_accepted = tasks_accepted + 1, declines_in_row = 0
        where id = s.session_id
        returning tasks_accepted into accepts;
    end if;

    events := task_events(t, 'JOB_ASSIGNED', jsonb_build_object(
        'status', 'SCHEDULED', 'hustler_id', p_hustler, 'eta_minutes', eta
    ));
    if t.mode = 'LIVE' then
        events := events || broadcast_event(b.id, t.poster_id);
        -- some accepts of a session are followed by a cooldown (product_spec §3.5)
        if accepts % accepts_before_cooldown() = 0 then
            update live_status
            set
                cooldown_until = at + accept_cooldown(), cooldown_reason = 'ACCEPTS',
                version = version + 1
            where user_id = p_hustler
            returning * into s;
            events := events || live_event(s);
        end if;
    end if;
    return jsonb_build_object(
        'outcome', 'WON',
        'task_id', p_task,
        'events', append_events(events),
        'closed', case t.mode
            when 'LIVE' then jsonb_build_array(closed_broadcast(b.id, p_task, 'CLAIMED'))
            else '[]'
        end,
        'withdrawn', case t.mode when 'LIVE' then jsonb_build_array(p_hustler) else '[]' end
    );
end;
$$;

create or replace function respond_to_offer(
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
    perform require_may_work(p_hustler);
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
    if not broadcast_runs(b, at) then
        -- too late to turn down: nothing is written, nothing counts
        return accept_outcome(
            case b.state when 'ACCEPTED' then 'TAKEN' else 'EXPIRED' end, b.task_id
        );
    end if;
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
    if declines < declines_before_pause() or declines is null then
        return accept_outcome('DECLINED', b.task_id);
    end if;
    -- so many declines without an accept: PAUSED (design §2, Live mode)
    update live_sessions set declines_in_row = 0 where id = s.session_id;
    s := pause_live(s, at + decline_pause(), 'DECLINES');
    return accept_outcome('DECLINED', b.task_id) || jsonb_build_object(
        'events', append_events(jsonb_build_array(live_event(s))),
        'withdrawn', jsonb_build_array(p_hustler)
    );
end;
$$;

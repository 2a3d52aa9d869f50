-- Broadcasts, started and ended, and the events that say so.

create or replace function broadcast_event(p_broadcast uuid, p_poster uuid) returns jsonb
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

create or replace function closed_broadcast(p_broadcast uuid, p_task uuid, p_reason text) returns jsonb
language sql immutable
return jsonb_build_object('broadcast_id', p_broadcast, 'task_id', p_task, 'reason', p_reason);

-- Whose cards leave the screen because LIVE mode no longer stands: a ban or a pause has just begun.
create or replace function withdrawn_unless_active(p_hustler uuid) returns jsonb
language sql stable
return (
    select case live_state(s, hx_clock())
        when 'ACTIVE' then '[]'::jsonb else jsonb_build_array(p_hustler)
    end
    from live_status as s where s.user_id = p_hustler
);

-- Null where the poster's account is shut: nothing of theirs is offered, and what is held waits for a
-- person.
create or replace function start_broadcast(t tasks, p_plan jsonb) returns live_broadcasts
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    b live_broadcasts;
begin
    if not account_is_active(t.poster_id) then
        perform hold_for_admin(t);
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

-- A broadcast's time is over. Unless the task's own deadline ended it, the poster has some time to
-- choose, and is told at once, soon, and shortly before its end (design §2).
create or replace function end_broadcast(t tasks, p_broadcast uuid) returns jsonb
language plpgsql
as $$
declare
    b live_broadcasts;
begin
    select * into b from live_broadcasts where id = p_broadcast for no key update;
    if b.state <> 'ACTIVE' then
        return '{}';
    end if;
    update live_broadcasts set state = 'EXPIRED', ended_at = expires_at where id = b.id;
    if t.deadline <= b.expires_at then
        -- its DEADLINE timer refunds
        return jsonb_build_object(
            'closed', jsonb_build_array(closed_broadcast(b.id, t.id, 'EXPIRED'))
        );
    end if;
    perform hx_timer('CHOICE', t.id, b.expires_at + choice_window());
    perform hx_timer('CHOICE_REMINDER', t.id, b.expires_at + choice_first_reminder());
    return jsonb_build_object(
        'events', append_events(jsonb_build_array(broadcast_event(b.id, t.poster_id))),
        'closed', jsonb_build_array(closed_broadcast(b.id, t.id, 'EXPIRED'))
    );
end;
$$;

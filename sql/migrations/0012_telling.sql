-- What several commands tell: events for both sides, the end of a broadcast, a LIVE state.
--
-- The commands: one function, one transaction, one answer (engine/kernel/applied.py, Applied).
--
-- Lock order everywhere: tasks (by id) → broadcast → escrow → live status → user counters.
-- Events are collected and appended by one append_events call, last; pushing happens after commit.

-- `arrived_at` tells the arrival, which changes no state, from the accept before it.
create function task_status(t tasks) returns jsonb
language sql stable
return jsonb_strip_nulls(jsonb_build_object(
    'task_id', t.id, 'state', t.state, 'arrived_at', t.arrived_at, 'updated_at', t.updated_at
));

-- A transition, told to both sides, with the published event beside it (job_state_sync).
create function task_events(t tasks, p_type text, p_data jsonb) returns jsonb
language plpgsql
as $$
declare
    told jsonb := '[]';
    reader uuid;
    status jsonb := task_status(t);
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

-- The same event for the poster and the hustler of a task.
create function both_sides(t tasks, p_type text, p_data jsonb) returns jsonb
language sql immutable
return jsonb_build_array(
    hx_event(t.poster_id, p_type, p_data), hx_event(t.assigned_hustler_id, p_type, p_data)
);

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

-- Whose cards leave the screen because LIVE mode no longer stands: a ban or a pause has just begun.
create function withdrawn_unless_active(p_hustler uuid) returns jsonb
language sql stable
return (
    select case live_state(s, hx_clock())
        when 'ACTIVE' then '[]'::jsonb else jsonb_build_array(p_hustler)
    end
    from live_status as s where s.user_id = p_hustler
);

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

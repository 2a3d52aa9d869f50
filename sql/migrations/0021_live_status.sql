-- Switching LIVE mode on and off.
-- Commands as 0012_telling.sql describes them.

create function go_live(p_hustler uuid, p_radius double precision, p_categories text[])
returns jsonb
language plpgsql
as $$
declare
    s live_status;
    opened uuid;
    at timestamptz;
begin
    perform refuse_who_may_not_work(p_hustler);
    select * into s from live_status where user_id = p_hustler for no key update;
    at := hx_clock();
    if s.session_id is null then
        insert into live_sessions (user_id, started_at) values (p_hustler, at) returning id into opened;
        update live_status
        set
            session_id = opened, active_since = at,
            radius_miles = p_radius, categories = p_categories, version = version + 1
        where user_id = p_hustler;
    elsif (s.radius_miles, s.categories) is distinct from (p_radius, p_categories) then
        update live_status
        set radius_miles = p_radius, categories = p_categories, version = version + 1
        where user_id = p_hustler;
    end if;
    return jsonb_build_object('subject_id', coalesce(opened, s.session_id));
end;
$$;

-- Off is always allowed. An end by the system is told by an event.
create function end_live(p_hustler uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    s live_status;
    ended uuid;
    at timestamptz;
begin
    select * into s from live_status where user_id = p_hustler for no key update;
    if s.session_id is null then
        return jsonb_build_object('outcome', 'DONE');
    end if;
    at := hx_clock();
    ended := s.session_id;
    update live_sessions set ended_at = at, end_reason = p_reason where id = ended;
    update live_status
    set
        session_id = null, active_since = null,
        version = version + 1
    where user_id = p_hustler
    returning * into s;
    return jsonb_build_object(
        'subject_id', ended,
        'withdrawn', jsonb_build_array(p_hustler),
        'events', case p_reason when 'MANUAL' then '[]' else append_events(jsonb_build_array(
            hx_event(p_hustler, 'LIVE_MODE_STATE_CHANGE', jsonb_build_object(
                'state', 'OFF', 'reason', p_reason
            ))
        )) end
    );
end;
$$;

-- A session away for five minutes ends, unless its hustler holds a task (design §2, Live mode).
create function end_away(p_hustler uuid) returns jsonb
language plpgsql
as $$
begin
    perform from live_status where user_id = p_hustler for no key update;
    if exists (
        select from tasks as t
        where t.assigned_hustler_id = p_hustler and t.state in ('ACCEPTED', 'WORKING')
    ) then
        return jsonb_build_object('outcome', 'DONE');
    end if;
    return end_live(p_hustler, 'OFFLINE');
end;
$$;

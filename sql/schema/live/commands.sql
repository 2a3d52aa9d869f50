-- Switching LIVE mode on and off.

create or replace function live_event(p_status live_status) returns jsonb
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

create or replace function go_live(p_hustler uuid, p_radius double precision, p_categories text[])
returns jsonb
language plpgsql
as $$
declare
    s live_status;
    opened uuid;
    at timestamptz;
begin
    perform require_may_work(p_hustler);
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

-- go_live for many at once, each with its own outcome, in the order asked. Null for those with whom it
-- cannot be done in passing: a rule refuses, or somebody else holds the row; asked for alone, go_live says
-- which, and waits. Nobody is waited for with the rows of others in hand.
-- At most 60: of more subtransactions a server no longer tells others quickly which are at work.
create or replace function go_live_together(
    p_hustlers uuid[], p_radii double precision[], p_categories jsonb
) returns jsonb
language plpgsql
as $$
declare
    answers jsonb[] := array_fill(null::jsonb, array[cardinality(p_hustlers)]);
    wish record;
begin
    for wish in
        select
            h.id, h.n::integer as n, h.radius,
            case when jsonb_typeof(c.wanted) = 'array'
                then array(select jsonb_array_elements_text(c.wanted))
            end as categories
        from unnest(p_hustlers, p_radii) with ordinality as h (id, radius, n)
        cross join lateral (select p_categories -> (h.n - 1)::integer as wanted) as c
        order by h.id, h.n
    loop
        begin
            perform from live_status where user_id = wish.id for no key update nowait;
            answers[wish.n] := go_live(wish.id, wish.radius, wish.categories);
        exception when others then
            null;
        end;
    end loop;
    return to_jsonb(answers);
end;
$$;

-- Time has changed the state since just before p_due: the hustler is told, the cards that no longer
-- stand are withdrawn, and the next change gets its timer. The caller holds the row of live_status.
create or replace function fire_live_state(p_user uuid, p_due timestamptz) returns jsonb
language plpgsql
as $$
declare
    s live_status;
    at timestamptz := hx_clock();
    before timestamptz := p_due - interval '1 microsecond';
    next timestamptz;
    events jsonb := '[]';
begin
    select * into s from live_status where user_id = p_user;
    next := live_state_changes_at(s, at);
    if next is not null then
        perform hx_timer('LIVE_STATE', p_user, next);
    end if;
    if (live_state(s, before), live_state_reason(s, before))
        is distinct from (live_state(s, at), live_state_reason(s, at))
    then
        events := events || live_event(s);
    end if;
    if s.session_id is not null and not shift_is_over(s.shift_since, at)
        and shift_turn(s.shift_since, at) + live_shift_warning() between p_due and at
    then
        events := events || reminder(
            p_user, 'LIVE_3H', null,
            'You have been in LIVE mode for three hours. After four there is a rest of 30 minutes.'
        );
    end if;
    return jsonb_build_object(
        'subject_id', p_user,
        'events', append_events(events),
        'withdrawn', case
            when live_state(s, before) = 'ACTIVE' and live_state(s, at) <> 'ACTIVE'
                then jsonb_build_array(p_user)
            else '[]'
        end
    );
end;
$$;

-- Off is always allowed. An end by the system is told by an event.
create or replace function end_live(p_hustler uuid, p_reason text) returns jsonb
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
create or replace function expire_idle_session(p_hustler uuid) returns jsonb
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

-- Positions that nobody can have been at end the session. The third such session within 30 days bans
-- until an admin lifts it, since GPS errs and a person has to look (architecture §10.7); what came
-- before the last lift is forgiven.
create or replace function end_impossible_session(p_hustler uuid) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    s live_status;
    at timestamptz;
    ended uuid;
    counted jsonb;
    events jsonb;
begin
    select * into s from live_status where user_id = p_hustler for no key update;
    if s.session_id is null then
        return jsonb_build_object('outcome', 'DONE');
    end if;
    at := hx_clock();
    ended := s.session_id;
    update live_sessions set ended_at = at, end_reason = 'FORCED', impossible_positions = true
    where id = ended;
    update live_status set session_id = null, active_since = null, version = version + 1
    where user_id = p_hustler
    returning * into s;
    select jsonb_agg(l.id order by l.ended_at) into counted
    from live_sessions as l
    where l.user_id = p_hustler and l.impossible_positions
        and l.ended_at > at - impossible_sessions_window()
        and l.ended_at > coalesce(
            (
                select max(a.created_at) from admin_actions as a
                where a.target_type = 'user' and a.target_id = p_hustler::text
                    and a.action_type = 'LIFT_LIVE_BAN'
            ),
            '-infinity'
        );
    events := hx_event(p_hustler, 'LIVE_MODE_STATE_CHANGE', jsonb_build_object(
        'state', 'OFF', 'reason', 'FORCED'
    ));
    if jsonb_array_length(counted) >= impossible_sessions_max() then
        s := ban_from_live(s, 'infinity');
        perform open_item(
            'IMPOSSIBLE_POSITIONS', p_hustler::text, jsonb_build_object('sessions', counted)
        );
        events := live_event(s);
    end if;
    return jsonb_build_object(
        'subject_id', ended,
        'withdrawn', jsonb_build_array(p_hustler),
        'events', append_events(jsonb_build_array(events))
    );
end;
$$;

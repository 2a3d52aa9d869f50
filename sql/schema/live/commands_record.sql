-- What a poor LIVE record leads to, by rule or by an admin's hand: docs/progress.md.

-- ── By rule ─────────────────────────────────────────────────────────────────────────────────────
-- product_spec §3.6; each figure is defined in docs/progress.md. Seconds, shares of 1, cents.
create or replace function live_record(p_user uuid) returns table (
    total_live_tasks integer,
    live_completion_rate double precision,
    average_response_time_seconds double precision,
    average_eta_accuracy double precision,
    live_earnings_total bigint,
    no_responses integer
)
language plpgsql stable
as $$
declare
    c work_counts := work_counts_of(p_user, 'LIVE');
begin
    return query
    select
        c.completed + c.abandoned + c.lost,
        completion_rate(c)::double precision,
        (
            select avg(extract(epoch from o.responded_at - coalesce(o.sent_at, o.offered_at)))
            from offers as o
            where o.hustler_id = p_user and o.response = 'ACCEPT'
        )::double precision,
        (
            -- 1 when on time to the second, 0 when off by the whole time foreseen, at least a minute
            select avg(greatest(0, 1 - (
                abs(extract(epoch from t.arrived_at - t.eta_at))
                / greatest(extract(epoch from t.eta_at - t.accepted_at), 60)
            )))
            from tasks as t
            where t.assigned_hustler_id = p_user and t.mode = 'LIVE'
                and t.arrived_at is not null and t.eta_at is not null
        )::double precision,
        (
            select coalesce(sum(e.release_amount - platform_fee_cents(e.release_amount)), 0)
            from tasks as t inner join escrows as e on e.task_id = t.id and e.is_current
            where t.assigned_hustler_id = p_user and t.mode = 'LIVE'
                and e.state in ('RELEASED', 'REFUND_PARTIAL')
        )::bigint,
        (
            -- a card that could be answered for long enough and was not
            select count(*)
            from offers as o inner join live_broadcasts as b on b.id = o.broadcast_id
            where o.hustler_id = p_user and o.response is null
                and least(hx_clock(), b.ended_at, b.expires_at) >= o.sent_at + no_response_after()
        )::integer;
end;
$$;

-- A ban ends an open session; a task that the hustler holds stays theirs (HX905 guards the return).
create or replace function ban_from_live(s live_status, p_until timestamptz) returns live_status
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    update live_sessions set ended_at = hx_clock(), end_reason = 'FORCED' where id = s.session_id;
    update live_status
    set
        banned_until = greatest(banned_until, p_until),
        session_id = null, active_since = null, version = version + 1
    where user_id = s.user_id
    returning * into s;
    return s;
end;
$$;

-- A pause never shortens another one.
create or replace function pause_live(s live_status, p_until timestamptz, p_reason text) returns live_status
language plpgsql
as $$
begin
    if s.paused_until >= p_until then
        return s;
    end if;
    update live_status
    set paused_until = p_until, paused_reason = p_reason, version = version + 1
    where user_id = s.user_id
    returning * into s;
    return s;
end;
$$;

-- What an event does to a hustler's LIVE mode, at its moment p_at; the events that tell it.
-- p_event: COMPLETED, LOST, or a kind of abandonment. The caller holds the row of live_status.
create or replace function check_live_record(p_user uuid, p_event text, p_at timestamptz) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    s live_status;
    c work_counts := work_counts_of(p_user, 'LIVE');
    total integer := c.completed + c.abandoned + c.lost;
    -- a completion only raises the rate; but one task is the first that is judged
    is_checked boolean := p_event <> 'QUICK' and total >= live_record_tasks_min()
        and (p_event <> 'COMPLETED' or total = live_record_tasks_min());
    was live_status;
begin
    select * into was from live_status where user_id = p_user;
    s := was;
    if is_checked and c.completed * 100 < total * live_rate_ban_percent() then
        s := ban_from_live(s, p_at + live_rate_ban());
    elsif is_checked and c.completed * 100 < total * live_rate_pause_percent() then
        s := pause_live(s, p_at + live_rate_pause(), 'COMPLETION_RATE');
    end if;
    if p_event in ('RELEASED', 'NO_SHOW') and live_abandonments_max() <= (
        select count(*) from abandonments as a
        where a.hustler_id = p_user and a.mode = 'LIVE' and a.kind <> 'QUICK'
            and a.at > p_at - live_abandonments_window()
    ) then
        s := ban_from_live(s, p_at + live_abandonments_ban());
    end if;
    if p_event = 'QUICK' and quick_releases_max() <= (
        select count(*) from abandonments as a
        where a.hustler_id = p_user and a.mode = 'LIVE' and a.kind = 'QUICK'
            and a.at > p_at - quick_releases_window()
    ) then
        s := pause_live(s, p_at + quick_releases_pause(), 'QUICK_RELEASES');
    end if;
    if s.banned_until is distinct from was.banned_until
        or (s.session_id is not null and s.paused_until is distinct from was.paused_until)
    then
        return jsonb_build_array(live_event(s));
    end if;
    return '[]';
end;
$$;

-- ── By an admin's hand ──────────────────────────────────────────────────────────────────────────
-- No LIVE mode until then: the session ends, HX905 guards the return. A task that the hustler holds
-- stays theirs. It replaces any ban there is, the rules' own included.
create or replace function live_ban(p_admin uuid, p_user uuid, p_until timestamptz, p_reason text)
returns jsonb
language plpgsql
as $$
declare
    u users := account_act(
        p_admin, 'LIVE_BAN', p_user, p_reason, jsonb_build_object('until', wire_time(p_until))
    );
    s live_status;
    at timestamptz := hx_clock();
begin
    if p_until not between at and at + admin_ban_max() then
        raise exception using
            errcode = 'check_violation',
            constraint = 'live_ban_ahead',
            message = 'A ban ends between now and ten years from now.';
    end if;
    update live_sessions set ended_at = at, end_reason = 'FORCED'
    where user_id = u.id and ended_at is null;
    update live_status
    set banned_until = p_until, session_id = null, active_since = null, version = version + 1
    where user_id = u.id
    returning * into s;
    return jsonb_build_object(
        'subject_id', u.id,
        'withdrawn', jsonb_build_array(u.id),
        'events', append_events(jsonb_build_array(live_event(s)))
    );
end;
$$;

create or replace function lift_live_ban(p_admin uuid, p_user uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    u users := account_act(p_admin, 'LIFT_LIVE_BAN', p_user, p_reason);
    s live_status;
begin
    update live_status set banned_until = null, version = version + 1
    where user_id = u.id and banned_until is not null
    returning * into s;
    -- a person has looked at where the account says that it is
    perform close_item('IMPOSSIBLE_POSITIONS', u.id::text);
    delete from last_fixes where user_id = u.id;
    return jsonb_build_object('subject_id', u.id, 'events', case when s.user_id is null then '[]' else
        append_events(jsonb_build_array(live_event(s)))
    end);
end;
$$;

-- One LIVE session or one cooldown, without a ban (architecture §10.6):
--   END_SESSION   the session ends as FORCED; the hustler may go LIVE again at once
--   SET_COOLDOWN  COOLDOWN until then, in this session and the next ones
--   END_COOLDOWN  the one that accepts or an admin brought; HX601 for a forced rest, which nobody ends
-- Nothing here makes anybody ACTIVE who has not switched LIVE mode on (LIVE-3).
create or replace function admin_live(
    p_admin uuid, p_user uuid, p_act text, p_until timestamptz, p_reason text
) returns jsonb
language plpgsql
as $$
declare
    u users := account_act(
        p_admin, 'LIVE_' || p_act, p_user, p_reason,
        jsonb_strip_nulls(jsonb_build_object('until', p_until))
    );
    was live_status;
    s live_status;
    at timestamptz := hx_clock();
begin
    if p_act = 'END_SESSION' then
        return end_live(u.id, 'FORCED') || jsonb_build_object('subject_id', u.id);
    end if;
    select * into was from live_status where user_id = u.id;
    s := was;
    if p_act = 'SET_COOLDOWN' then
        if p_until is null or p_until not between at and at + admin_cooldown_max() then
            raise exception using
                errcode = 'check_violation',
                constraint = 'live_cooldown_ahead',
                message = 'A cooldown ends between now and seven days from now.';
        end if;
        update live_status
        set cooldown_until = p_until, cooldown_reason = 'ADMIN', version = version + 1
        where user_id = u.id
        returning * into s;
    elsif was.cooldown_until > at then
        update live_status set cooldown_until = null, version = version + 1
        where user_id = u.id
        returning * into s;
    elsif rest_ends_at(was, at) is not null then
        perform hx_refuse('HX601', 'LIVE-REST', rest_ends_at(was, at));
    end if;
    return jsonb_build_object(
        'subject_id', u.id,
        'withdrawn', case
            when live_state(was, at) = 'ACTIVE' and live_state(s, at) <> 'ACTIVE'
                then jsonb_build_array(u.id)
            else '[]'
        end,
        'events', case
            when s.session_id is null or s.version = was.version then '[]'
            else append_events(jsonb_build_array(live_event(s)))
        end
    );
end;
$$;

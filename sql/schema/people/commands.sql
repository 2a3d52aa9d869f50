-- People: known on first use; suspended and reinstated by an admin.

-- The accounts behind token subjects, in the order asked: an unknown subject of a known issuer is created
-- on first use (design §9), once however often it is named. Rows are made in the order of their key, so
-- that two calls never wait for each other in a circle.
create or replace function users_for(
    p_issuers text[], p_subjects text[], p_roles text[], p_first_names text[]
) returns table (id uuid, role text, account_status text, tokens_revoked_at timestamptz)
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    insert into users (issuer, subject, role, first_name)
    select distinct on (a.issuer, a.subject) a.issuer, a.subject, a.role, a.first_name
    from unnest(p_issuers, p_subjects, p_roles, p_first_names) with ordinality
        as a (issuer, subject, role, first_name, n)
    where not exists (
        select from users as u where u.issuer = a.issuer and u.subject = a.subject
    )
    order by a.issuer, a.subject, a.n
    on conflict on constraint users_identity do nothing;

    return query
    select u.id, u.role, u.account_status, u.tokens_revoked_at
    from unnest(p_issuers, p_subjects) with ordinality as a (issuer, subject, n)
    inner join users as u on u.issuer = a.issuer and u.subject = a.subject
    order by a.n;
end;
$$;
-- An act on somebody's account: the row, locked.
create or replace function account_act(
    p_admin uuid, p_action text, p_user uuid, p_reason text, p_metadata jsonb default '{}'
) returns users
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    acted uuid := admin_act(p_admin, p_action, 'user', p_user::text, p_reason, p_metadata);
    u users;
begin
    -- live status comes before users in the order of locks
    perform from live_status where user_id = p_user for no key update;
    select * into u from users where id = p_user for no key update;
    if not found then
        perform hx_not_found();
    end if;
    return u;
end;
$$;

-- The tasks of a poster that nobody has accepted, locked with their broadcasts and their money: the
-- first of all locks.
create or replace function lock_waiting_tasks(p_poster uuid) returns setof tasks
language plpgsql
as $$
declare
    waiting tasks[] := array(
        select t from tasks as t
        where t.poster_id = p_poster and t.state in ('OPEN', 'MATCHING')
        order by t.id
        for no key update
    );
begin
    perform from live_broadcasts as b
    where b.state = 'ACTIVE' and b.task_id in (select w.id from unnest(waiting) as w)
    order by b.id
    for no key update;
    perform from escrows as e
    where e.is_current and e.task_id in (select w.id from unnest(waiting) as w)
    order by e.id
    for share;
    return query select * from unnest(waiting);
end;
$$;

-- The account is shut: tokens are refused, sockets closed, the LIVE session ends, its waiting tasks are
-- offered to nobody (suspension_stops). What the hustler holds stays theirs, and shows in the admin queue
-- (HOLDER_SUSPENDED).
create or replace function suspend_user(p_admin uuid, p_user uuid, p_reason text) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    ended live_broadcasts[];
    events jsonb := '[]';
    closed jsonb := '[]';
    session uuid;
    b live_broadcasts;
    u users;
begin
    perform admin_only(p_admin);
    perform from lock_waiting_tasks(p_user);
    select array_agg(a order by a.id) into ended
    from live_broadcasts as a inner join tasks as t on t.id = a.task_id
    where t.poster_id = p_user and t.state = 'MATCHING' and a.state = 'ACTIVE';
    u := account_act(p_admin, 'SUSPEND_USER', p_user, p_reason);
    select s.session_id into session from live_status as s where s.user_id = u.id;
    update users set account_status = 'SUSPENDED' where id = u.id and account_status <> 'SUSPENDED';
    foreach b in array coalesce(ended, '{}') loop
        events := events || broadcast_event(b.id, u.id);
        closed := closed || closed_broadcast(b.id, b.task_id, 'CANCELLED');
    end loop;
    if session is not null then
        events := events || hx_event(u.id, 'LIVE_MODE_STATE_CHANGE', jsonb_build_object(
            'state', 'OFF', 'reason', 'FORCED'
        ));
    end if;
    return jsonb_build_object(
        'subject_id', u.id,
        'events', append_events(events),
        'closed', closed,
        'withdrawn', case when session is null then '[]' else jsonb_build_array(u.id) end
    );
end;
$$;

create or replace function reinstate_user(p_admin uuid, p_user uuid, p_reason text) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    u users;
begin
    perform admin_only(p_admin);
    perform from lock_waiting_tasks(p_user);
    u := account_act(p_admin, 'REINSTATE_USER', p_user, p_reason);
    update users set account_status = 'ACTIVE' where id = u.id and account_status = 'SUSPENDED';
    return jsonb_build_object('subject_id', u.id);
end;
$$;

-- The tokens that somebody has are refused from now on, wherever they are shown; a fresh one is not.
-- Called again it reaches further. By the time of the world, as tokens are issued, not by hx_clock().
create or replace function revoke_sessions(p_admin uuid, p_user uuid, p_reason text) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    u users;
begin
    perform admin_only(p_admin);
    u := account_act(p_admin, 'REVOKE_SESSIONS', p_user, p_reason);
    update users set tokens_revoked_at = greatest(tokens_revoked_at, clock_timestamp()) where id = u.id;
    return jsonb_build_object('subject_id', u.id);
end;
$$;

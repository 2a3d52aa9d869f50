-- What a client starts from: the state of one user and the last event that it holds.

create or replace function user_snapshot(p_user uuid) returns jsonb
language plpgsql stable
as $$
begin
    return (
        select jsonb_build_object(
            'user_id', p_user,
            'server_time', hx_clock(),
            'last_seq', coalesce(c.last_seq, 0),
            'live', live_view(s),
            'offers', offers_view(p_user),
            'tasks', tasks_view(p_user)
        )
        from (select p_user as id) as u
        left join user_counters as c on c.user_id = u.id
        left join live_status as s on s.user_id = u.id
    );
end;
$$;

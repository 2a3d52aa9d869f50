-- What clients start from: the state of each user and the last event that it holds.

-- For many users at once: first the cards of their open offers, each broadcast's once however many hold
-- it, then a row for each user in the order asked, whose offers are [broadcast, shown miles, score], best
-- first. All of it is of one snapshot, the caller's.
create or replace function snapshots(p_users uuid[]) returns setof jsonb
language plpgsql stable
as $$
declare
    at timestamptz := hx_clock();
    open offers[] := array(select o from open_offers(p_users, at) as o);
begin
    return query
    select coalesce(jsonb_agg(broadcast_card(b)), '[]') from live_broadcasts as b
    where b.id in (select o.broadcast_id from unnest(open) as o);

    return query
    with held as (
        select
            o.hustler_id,
            jsonb_agg(
                jsonb_build_array(o.broadcast_id, shown_miles(o.distance_miles), o.matching_score)
                order by o.matching_score desc, o.distance_miles, o.offered_at
            ) as offers
        from unnest(open) as o
        group by o.hustler_id
    )

    select jsonb_build_object(
        'user_id', u.id,
        'server_time', hx_clock(),
        'last_seq', coalesce(c.last_seq, 0),
        'live', live_view(s),
        'offers', coalesce(h.offers, '[]'),
        'tasks', (
            select coalesce(jsonb_agg(task_view(t, u.id) order by t.created_at desc, t.id), '[]')
            from tasks_under_way(u.id) as t
        )
    )
    from unnest(p_users) with ordinality as u (id, n)
    left join user_counters as c on c.user_id = u.id
    left join live_status as s on s.user_id = u.id
    left join held as h on h.hustler_id = u.id
    order by u.n;
end;
$$;

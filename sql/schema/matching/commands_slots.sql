-- Renews a broadcaster's leases and takes its share of all slots: as many as fall to each of those that
-- are there. What is beyond it is given up, so that a new one gets some; what nobody has renewed in time
-- is taken. Answers the slots held. By the server's own clock: a lease is no business rule.
create or replace function hold_slots(p_broadcaster uuid, p_lease interval) returns smallint[]
language plpgsql
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_share integer;
    v_held integer;
begin
    insert into broadcasters as b (id, until) values (p_broadcaster, v_now + p_lease)
    on conflict (id) do update set until = excluded.until;
    delete from broadcasters where until < v_now - interval '1 minute';
    select ceil(16.0 / count(*)) into v_share from broadcasters where until > v_now;
    with mine as (
        select slot, row_number() over (order by slot) <= v_share as is_kept
        from broadcaster_slots where owner = p_broadcaster
    )
    update broadcaster_slots as s set
        owner = case when m.is_kept then p_broadcaster end,
        until = case when m.is_kept then v_now + p_lease else '-infinity' end
    from mine as m where m.slot = s.slot and s.owner = p_broadcaster;
    select count(*) into v_held from broadcaster_slots where owner = p_broadcaster;
    with free as (
        select slot from broadcaster_slots
        where owner is distinct from p_broadcaster and until < v_now
        order by slot limit greatest(v_share - v_held, 0)
        for update skip locked
    )
    update broadcaster_slots as s set owner = p_broadcaster, until = v_now + p_lease
    from free as f where f.slot = s.slot;
    return array(select slot from broadcaster_slots where owner = p_broadcaster order by slot);
end;
$$;

-- Gives up what a broadcaster holds, when it ends in good order.
create or replace function release_slots(p_broadcaster uuid) returns void
language plpgsql
as $$
begin
    delete from broadcasters where id = p_broadcaster;
    update broadcaster_slots set owner = null, until = '-infinity' where owner = p_broadcaster;
end;
$$;

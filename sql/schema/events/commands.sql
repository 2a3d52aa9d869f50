-- The one writer of the event log.

-- The last statement of a command: counters are locked in user order, so two commands that tell
-- the same two people never wait for each other in a circle.
create or replace function append_events(events jsonb) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    stamp timestamptz := hx_clock();
    appended jsonb := '[]';
    part jsonb;
    reader record;
    last bigint;
begin
    for reader in
        select (e.value ->> 'user_id')::uuid as user_id, jsonb_agg(e.value order by e.ordinality) as own
        from jsonb_array_elements(events) with ordinality as e
        group by 1
        order by 1
    loop
        insert into user_counters (user_id) values (reader.user_id) on conflict (user_id) do nothing;
        select c.last_seq into last from user_counters as c
        where c.user_id = reader.user_id
        for no key update;

        with written as (
            insert into user_events (user_id, seq, at, type, data)
            select
                reader.user_id,
                last + e.ordinality,
                stamp,
                e.value ->> 'type',
                e.value -> 'data'
            from jsonb_array_elements(reader.own) with ordinality as e
            returning user_id, seq, at, type, data
        )
        select jsonb_agg(to_jsonb(w) order by w.seq) into part from written as w;
        appended := appended || part;
    end loop;
    return appended;
end;
$$;

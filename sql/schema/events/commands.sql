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
        insert into user_counters as c (user_id, last_seq)
        values (reader.user_id, jsonb_array_length(reader.own))
        on conflict (user_id) do update set last_seq = c.last_seq + excluded.last_seq
        returning last_seq into last;

        with written as (
            insert into user_events (user_id, seq, at, type, data)
            select
                reader.user_id,
                last - jsonb_array_length(reader.own) + e.ordinality,
                stamp,
                e.value ->> 'type',
                e.value -> 'data'
            from jsonb_array_elements(reader.own) with ordinality as e
            returning user_events.*
        )
        select jsonb_agg(to_jsonb(w) order by w.seq) into part from written as w;
        appended := appended || part;
    end loop;
    return appended;
end;
$$;

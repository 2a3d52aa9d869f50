-- The guard of the event log.

-- An event has the number after its user's last one, whoever writes it, and moves the counter on: so
-- numbers have no gaps, and of no user two events share one, in whichever months they lie.
create or replace function user_event_guard() returns trigger
language plpgsql
as $$
declare
    own record;
begin
    for own in
        select m.user_id, min(m.seq) as first, max(m.seq) as last, count(distinct m.seq) as numbers, count(*) as events
        from made as m
        group by m.user_id
    loop
        update user_counters set last_seq = own.last
        where user_id = own.user_id and last_seq = own.first - 1;
        if not found or own.events <> own.numbers or own.last - own.first + 1 <> own.events then
            raise exception using
                errcode = 'unique_violation',
                constraint = 'user_events_seq',
                message = 'An event has the number after its user''s last one.';
        end if;
    end loop;
    return null;
end;
$$;

create or replace trigger user_event_guard after insert on user_events
referencing new table as made
for each statement execute function user_event_guard();

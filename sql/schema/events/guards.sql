-- The guard of the event log.

-- An event's number is given once: of one user, no two events share it, whatever their time and whoever
-- writes. append_events() has numbers of its own from the counter, whose lock makes writers take turns.
create or replace function user_event_guard() returns trigger
language plpgsql
-- a plan must not depend on how little a month held when the connection first asked
set enable_seqscan = 'off'
as $$
begin
    perform from user_counters as c where c.user_id = new.user_id for no key update;
    if exists (select from user_events as e where e.user_id = new.user_id and e.seq = new.seq) then
        raise exception using
            errcode = 'unique_violation',
            constraint = 'user_events_seq',
            message = 'This event''s number is taken.';
    end if;
    return new;
end;
$$;

create or replace trigger user_event_guard before insert on user_events
for each row execute function user_event_guard();

-- The rows that every user has, and what a suspension stops.

-- Every user has a counter, a profile, a LIVE status and a streak, whoever inserts the row.
create or replace function user_rows() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    insert into user_counters (user_id) values (new.id) on conflict do nothing;
    insert into hustler_profiles (user_id) values (new.id);
    insert into live_status (user_id) values (new.id);
    insert into progress (user_id) values (new.id);
    return null;
end;
$$;

create or replace trigger user_rows after insert on users for each row execute function user_rows();

-- Whatever shuts an account ends what it was offering and being offered: its broadcasts, and its LIVE
-- session. What is held for its tasks waits for a person: no choice of the poster's runs out meanwhile;
-- a deadline still does, with the full refund.
create or replace function suspension_stops() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    t tasks;
    at timestamptz;
    b uuid;
begin
    for t in select * from lock_waiting_tasks(new.id) loop
        update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock()
        where task_id = t.id and state = 'ACTIVE'
        returning id into b;
        delete from timers
        where (kind, subject) in (
            ('BROADCAST_END', b), ('CHOICE', t.id), ('CHOICE_REMINDER', t.id)
        );
        if escrow_is_funded(t.id) then
            perform hold_for_admin(t);
        end if;
    end loop;
    perform from live_status where user_id = new.id for no key update;
    at := hx_clock();
    update live_sessions set ended_at = at, end_reason = 'FORCED'
    where user_id = new.id and ended_at is null;
    update live_status set session_id = null, active_since = null, version = version + 1
    where user_id = new.id and session_id is not null;
    return null;
end;
$$;

create or replace trigger suspension_stops after update of account_status on users
for each row when (old.account_status <> 'SUSPENDED' and new.account_status = 'SUSPENDED')
execute function suspension_stops();

-- An account that is open again: its STANDARD tasks may be accepted, and for a LIVE one the poster has
-- the choice that follows every broadcast nobody accepted, with the whole time to make it.
create or replace function reinstatement_resumes() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    t tasks;
    at timestamptz := hx_clock();
begin
    for t in select * from lock_waiting_tasks(new.id) loop
        perform close_item('POSTER_SUSPENDED', t.id::text);
        if t.state = 'MATCHING' and escrow_is_funded(t.id) and not exists (
            select from live_broadcasts as b where b.task_id = t.id and b.state = 'ACTIVE'
        ) then
            perform hx_timer('CHOICE', t.id, at + choice_window());
            perform hx_timer('CHOICE_REMINDER', t.id, at);
        end if;
    end loop;
    return null;
end;
$$;

create or replace trigger reinstatement_resumes after update of account_status on users
for each row when (old.account_status <> 'ACTIVE' and new.account_status = 'ACTIVE')
execute function reinstatement_resumes();

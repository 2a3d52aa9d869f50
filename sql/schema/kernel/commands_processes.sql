-- Leases on the work that one process does for all, and the list of those that run
-- (engine/kernel/leases.py, engine/admin/processes.py). All by the clock that decides.

-- The moment at which the caller has taken the lease, which is its proof of it; null where somebody
-- else has it, or the last round that was brought to its end began less than p_every ago.
create or replace function take_lease(p_name text, p_holder uuid, p_for interval, p_every interval)
returns timestamptz
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
    taken timestamptz;
begin
    insert into leases as l (name, holder, taken_at, held_until) values (p_name, p_holder, at, at + p_for)
    on conflict (name) do update
    set holder = excluded.holder, taken_at = excluded.taken_at, held_until = excluded.held_until
    where l.held_until <= excluded.taken_at
        and (l.worked_at is null or l.worked_at + p_every <= excluded.taken_at)
    returning l.taken_at into taken;
    return taken;
end;
$$;

-- Whether the lease was still the caller's; if so it is for p_for more.
create or replace function renew_lease(p_name text, p_holder uuid, p_taken_at timestamptz, p_for interval)
returns boolean
language plpgsql
as $$
begin
    update leases set held_until = hx_clock() + p_for
    where name = p_name and holder = p_holder and taken_at = p_taken_at;
    return found;
end;
$$;

-- Gives the lease back, after the work or a failure; somebody else's is let be.
create or replace function free_lease(p_name text, p_holder uuid, p_taken_at timestamptz, p_done boolean)
returns void
language sql
begin atomic
    update leases
    set
        held_until = least(held_until, hx_clock()),
        worked_at = case when p_done then taken_at else worked_at end
    where name = p_name and holder = p_holder and taken_at = p_taken_at;
end;

-- This process runs. Forgets those that were not heard of for too long, and answers all that run, the
-- oldest first.
create or replace function report_process(
    p_id uuid, p_role text, p_host text, p_pid integer, p_release text, p_settings jsonb,
    p_started_at timestamptz
) returns jsonb
language plpgsql
as $$
declare
    at timestamptz := hx_clock();
begin
    insert into processes as p (id, role, host, pid, release, settings, started_at, seen_at)
    values (p_id, p_role, p_host, p_pid, p_release, p_settings, coalesce(p_started_at, at), at)
    on conflict (id) do update set seen_at = excluded.seen_at;
    delete from processes as p
    where p.id in (
        select d.id from processes as d
        where d.seen_at < at - process_missed_after()
        for update skip locked
    );
    return running_processes();
end;
$$;

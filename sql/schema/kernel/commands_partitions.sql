-- Makes partitions ahead of time and drops those whose time is over (engine/kernel/partitions.py).
--
-- Both take the table for themselves while they change it: whoever is on their way into the default
-- partition would be refused by a partition that is made beneath them. A table that is not free within
-- 100 ms is left for the next round, so nobody waits for longer.

-- One month of one table, filled with what the default partition caught of it.
create or replace function make_partition(p_parent text, p_month date) returns void
language plpgsql
as $$
declare
    key text := case p_parent when 'offers' then 'broadcast_id' else 'at' end;
    first text := month_start(p_month)::text;
    past text := month_end(p_month)::text;
    made text := partition_name(p_parent, p_month);
    missed text := p_parent || '_default';
begin
    if p_parent = 'offers' then
        first := id_floor(month_start(p_month))::text;
        past := id_floor(month_end(p_month))::text;
    end if;
    execute format('lock table only %I in access exclusive mode', p_parent);
    execute format(
        'create table partitions.%I (like %I including defaults including constraints including indexes)',
        made, p_parent
    );
    execute format(
        'with moved as (delete from partitions.%I where %I >= %L and %I < %L returning *)'
        ' insert into partitions.%I select * from moved',
        missed, key, first, key, past, made
    );
    execute format(
        'alter table %I attach partition partitions.%I for values from (%L) to (%L)',
        p_parent, made, first, past
    );
end;
$$;

-- Makes what is due, closes the items about it, and answers the names of what it made.
create or replace function ensure_partitions() returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
set lock_timeout = '100ms'
as $$
declare
    due record;
    made text[] := '{}';
begin
    if not pg_try_advisory_xact_lock(hashtext('ensure_partitions')) then
        return '[]';
    end if;
    for due in select * from partitions_due() loop
        begin
            perform make_partition(due.parent, due.month);
            made := made || partition_name(due.parent, due.month);
        exception when lock_not_available or deadlock_detected then
            null;  -- still due in the next round
        end;
    end loop;
    perform close_item('PARTITION_MISSING', d.parent)
    from default_partition_rows() as d where d.waiting = 0;
    return to_jsonb(made);
end;
$$;

-- Drops the months of the event log that are older than events_kept_for(), and answers their names.
create or replace function drop_old_events() returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
set lock_timeout = '100ms'
as $$
declare
    old text;
    dropped text[] := '{}';
begin
    for old in
        select c.relname
        from pg_inherits as i inner join pg_class as c on c.oid = i.inhrelid
        where i.inhparent = 'user_events'::regclass and c.relname <> 'user_events_default'
            and month_end(to_date(right(c.relname, 7), 'YYYY_MM')) <= hx_clock() - events_kept_for()
        order by c.relname
    loop
        begin
            execute format('drop table partitions.%I', old);
            dropped := dropped || old;
        exception when lock_not_available or deadlock_detected or undefined_table then
            null;  -- held, or another process was quicker
        end;
    end loop;
    return to_jsonb(dropped);
end;
$$;

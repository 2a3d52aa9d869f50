-- Keeps `changes` to the last two days (engine/kernel/partitions.py).

-- Empties the slot that tomorrow's rows go to, of the day before yesterday, and answers its name. Where
-- the clock has leapt or nobody called for days it holds other rows: what they were of is written down
-- (changes_emptied), so nobody misses them unawares. A slot that somebody reads or writes at this moment
-- is left for the next round.
create or replace function empty_old_changes() returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
set lock_timeout = '100ms'
as $$
declare
    old text := 'changes_' || changes_slot(hx_clock() + interval '1 day');
    is_empty boolean;
    newest xid8;
begin
    execute format('select not exists (select from partitions.%I)', old) into is_empty;
    if is_empty then
        return '[]';
    end if;
    execute format('lock table partitions.%I in access exclusive mode', old);
    execute format('select xid from partitions.%I order by xid desc limit 1', old) into newest;
    update changes_emptied set xid = greatest(xid, newest);
    execute format('truncate partitions.%I', old);
    return jsonb_build_array(old);
exception when lock_not_available or deadlock_detected then
    return '[]';
end;
$$;

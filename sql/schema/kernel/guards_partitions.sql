-- What happens where no partition was ready.

-- A row that met the default partition is let in, and somebody is told; ensure_partitions() closes the
-- item. The lock is tried, not waited for: who holds it is telling, and nobody waits for a commit.
create or replace function default_partition_met() returns trigger
language plpgsql
as $$
begin
    if pg_try_advisory_xact_lock(hashtext(tg_table_name)) then
        perform open_item('PARTITION_MISSING', tg_argv[0]);
    end if;
    return null;
end;
$$;

create or replace trigger default_partition_met after insert on partitions.offers_default
for each row execute function default_partition_met('offers');
create or replace trigger default_partition_met after insert on partitions.user_events_default
for each row execute function default_partition_met('user_events');

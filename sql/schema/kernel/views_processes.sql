-- Who runs.

-- Every process that was heard of lately, the oldest first.
create or replace function running_processes() returns jsonb
language sql stable
return (
    select coalesce(jsonb_agg(to_jsonb(p) order by p.started_at, p.id), '[]')
    from processes as p
    where p.seen_at >= hx_clock() - process_missed_after()
);

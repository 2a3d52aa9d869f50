-- The guard that ledgers share.

-- Append-only: update, delete and truncate are refused with the ledger's own code, even where no row
-- would have been touched. The roles of the service hold the privilege to update and delete, so that
-- this answer, which says why, comes before a bare 42501.
create or replace function append_only() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse(tg_argv[0], tg_argv[1]);
    return null;
end;
$$;

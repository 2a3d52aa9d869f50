-- Leases and the list of processes (sql/schema/kernel/commands_processes.sql).

-- name: take_lease
select take_lease($1, $2, $3, $4);

-- name: renew_lease
select renew_lease($1, $2, $3, $4);

-- name: free_lease
select free_lease($1, $2, $3, $4);

-- name: running_processes
select running_processes();

-- name: process_ended
delete from processes where id = $1;

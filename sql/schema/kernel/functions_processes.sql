-- When a process counts as gone.

-- How long a process that was not heard of counts as one that runs.
create or replace function process_missed_after() returns interval
language sql immutable return interval '20 seconds';

-- Deadlines, set and moved.

create or replace function hx_timer(p_kind text, p_subject uuid, p_due_at timestamptz) returns void
language sql
begin atomic
    insert into timers (kind, subject, due_at) values (p_kind, p_subject, p_due_at)
    on conflict (kind, subject) do update set due_at = excluded.due_at, claimed_until = null;
end;

-- Items of the work queue, opened and closed by whoever meets the trouble.

-- With hyphens wherever they stand, and as words of their own without.
create or replace function uuids_in(p_text text) returns uuid[]
language sql immutable
return (
    select coalesce(array_agg(m.groups[1]::uuid), '{}')
    from regexp_matches(
        p_text, '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\m[0-9a-f]{32}\M', 'gi'
    ) as m (groups)
);

create or replace function open_item(p_kind text, p_subject text, p_details jsonb default '{}') returns void
language sql
begin atomic
    insert into admin_items (kind, subject, details) values (p_kind, p_subject, p_details)
    on conflict (kind, subject) where closed_at is null do nothing;
end;

create or replace function close_item(p_kind text, p_subject text) returns void
language sql
begin atomic
    update admin_items set closed_at = hx_clock()
    where kind = p_kind and subject = p_subject and closed_at is null;
end;

-- What is held for a task of somebody whose account is shut waits for a person.
create or replace function hold_for_admin(t tasks) returns void
language sql
begin atomic
    select open_item('POSTER_SUSPENDED', t.id::text, jsonb_build_object(
        'poster_id', t.poster_id, 'mode', t.mode
    ));
end;

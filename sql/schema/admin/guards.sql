-- Guards of the audit record and of the work queue.

-- HX801: what an admin did stays on record.
create or replace trigger admin_actions_no_delete before update or delete or truncate on admin_actions
for each statement execute function append_only('HX801', 'ADMIN-AUDIT');

-- HX503: whoever writes, only an admin who may act, and has no stake in it, leaves an act.
create or replace function admin_action_guard() returns trigger
language plpgsql
as $$
begin
    perform admin_only(new.admin_id);
    perform refuse_own_case(new.admin_id, new.target_id);
    return new;
end;
$$;

create or replace trigger admin_action_guard before insert on admin_actions
for each row execute function admin_action_guard();

-- HX801: an item stays what it was opened for, is closed once, by an admin or by itself. HX503: by none
-- of those whom it is about.
create or replace function admin_item_guard() returns trigger
language plpgsql
as $$
begin
    if old.closed_at is not null and old is distinct from new
        or (old.id, old.kind, old.subject, old.details, old.opened_at)
        is distinct from (new.id, new.kind, new.subject, new.details, new.opened_at)
        or new.closed_by is not null and not exists (
            select from users as u where u.id = new.closed_by and u.role = 'admin'
        )
    then
        perform hx_refuse('HX801', 'AUDIT-5');
    end if;
    perform refuse_own_case(new.closed_by, new.id::text);
    return new;
end;
$$;

create or replace trigger admin_item_guard before update on admin_items
for each row execute function admin_item_guard();

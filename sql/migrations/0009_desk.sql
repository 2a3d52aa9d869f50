-- The operator's desk: what waits for a person, and what a person did.

-- Every act of an admin (architecture §2.6).
create table admin_actions (
    id uuid not null default gen_random_uuid(),
    admin_id uuid not null,
    action_type text not null,
    target_type text not null,
    target_id text not null,
    reason text not null,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default hx_clock(),
    constraint admin_actions_pkey primary key (id),
    constraint admin_actions_admin foreign key (admin_id) references users (id),
    constraint admin_actions_type check (action_type ~ '^[A-Z_]+$' and target_type ~ '^[a-z_]+$'),
    constraint admin_actions_reason check (visible_text(reason) and length(reason) <= 2000)
);
create index admin_actions_by_target on admin_actions (target_type, target_id, created_at);
create index admin_actions_by_age on admin_actions (created_at, id);

-- Whether an admin's act on a user is on record in this transaction.
create function acted_on_user(p_user uuid, p_actions text[]) returns boolean
language plpgsql stable
as $$
begin
    return exists (
        select from admin_actions as a
        where a.target_type = 'user' and a.target_id = p_user::text
            and a.action_type = any(p_actions)
            and a.created_at >= hx_clock() - (clock_timestamp() - transaction_timestamp())
    );
end;
$$;

-- HX801: what an operator did stays on record.
create trigger admin_actions_no_delete before update or delete or truncate on admin_actions
for each statement execute function append_only('HX801', 'ADMIN-AUDIT');

-- HX503 for who is no admin.
create function admin_only(p_admin uuid) returns void
language plpgsql
as $$
begin
    if not exists (
        select from users as u
        where u.id = p_admin and u.role = 'admin' and u.account_status = 'ACTIVE'
    ) then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
end;
$$;

-- HX503: whoever writes, only an admin who may act leaves an act.
create function admin_action_guard() returns trigger
language plpgsql
as $$
begin
    perform admin_only(new.admin_id);
    return new;
end;
$$;

create trigger admin_action_guard before insert on admin_actions
for each row execute function admin_action_guard();

-- What waits for a person. Opened by commands and timers, once while it is open.
create table operator_items (
    id uuid not null default gen_random_uuid(),
    kind text not null,
    subject text not null,
    details jsonb not null default '{}',
    opened_at timestamptz not null default hx_clock(),
    closed_at timestamptz,
    -- null when what it was about went away by itself
    closed_by uuid,
    constraint operator_items_pkey primary key (id),
    constraint operator_items_closer foreign key (closed_by) references users (id),
    constraint operator_items_kind check (kind ~ '^[A-Z_]+$')
);
create unique index one_open_item_per_subject on operator_items (kind, subject)
where closed_at is null;
create index operator_items_open on operator_items (opened_at, id) where closed_at is null;

-- HX801: an item stays what it was opened for, is closed once, by an admin or by itself.
create function operator_item_guard() returns trigger
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
    return new;
end;
$$;

create trigger operator_item_guard before update on operator_items
for each row execute function operator_item_guard();

create function open_item(p_kind text, p_subject text, p_details jsonb default '{}') returns void
language sql
begin atomic
    insert into operator_items (kind, subject, details) values (p_kind, p_subject, p_details)
    on conflict (kind, subject) where closed_at is null do nothing;
end;

create function close_item(p_kind text, p_subject text) returns void
language sql
begin atomic
    update operator_items set closed_at = hx_clock()
    where kind = p_kind and subject = p_subject and closed_at is null;
end;

-- What is held for a task of somebody whose account is shut waits for a person.
create function hold_for_operator(t tasks) returns void
language sql
begin atomic
    select open_item('POSTER_SUSPENDED', t.id::text, jsonb_build_object(
        'poster_id', t.poster_id, 'mode', t.mode
    ));
end;

-- The row that every command of an admin leaves; HX503 for anybody else. A command that has to look
-- before it knows what to write down asks admin_only() first.
create function admin_act(
    p_admin uuid, p_action text, p_target_type text, p_target_id text, p_reason text,
    p_metadata jsonb default '{}'
) returns uuid
language plpgsql
as $$
declare
    made uuid;
begin
    insert into admin_actions (admin_id, action_type, target_type, target_id, reason, metadata)
    values (p_admin, p_action, p_target_type, p_target_id, p_reason, p_metadata)
    returning id into made;
    return made;
end;
$$;

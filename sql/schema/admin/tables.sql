-- What waits for a person, and what a person did.

-- Every act of an admin (architecture §2.6).
create table admin_actions (
    id uuid not null default hx_id(),
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
    constraint admin_actions_reason check (visible_text(reason) and length(reason) <= reason_chars_max())
);
create index admin_actions_by_target on admin_actions (target_type, target_id, created_at);
create index admin_actions_by_age on admin_actions (created_at, id);

-- What waits for a person. Opened by commands and timers, once while it is open.
create table admin_items (
    id uuid not null default hx_id(),
    kind text not null,
    subject text not null,
    details jsonb not null default '{}',
    opened_at timestamptz not null default hx_clock(),
    closed_at timestamptz,
    -- null when what it was about went away by itself
    closed_by uuid,
    constraint admin_items_pkey primary key (id),
    constraint admin_items_closer foreign key (closed_by) references users (id),
    constraint admin_items_kind check (kind ~ '^[A-Z_]+$')
);
create unique index one_open_item_per_subject on admin_items (kind, subject)
where closed_at is null;
create index admin_items_open on admin_items (opened_at, id) where closed_at is null;
create index admin_items_by_age on admin_items (opened_at, id);

-- The log behind push, resume and long poll: gap-free per user. Written by append_events alone. A
-- partition holds one month and is dropped when all of it is older than events_kept_for() (ADR 0024).
create table user_counters (
    user_id uuid not null,
    last_seq bigint not null default 0,
    constraint user_counters_pkey primary key (user_id)
);

create table user_events (
    user_id uuid not null,
    seq bigint not null,
    at timestamptz not null,
    type text not null,
    data jsonb not null,
    -- who wrote it: what changes_since() finds it by (ADR 0027)
    xid xid8 not null default pg_current_xact_id(),
    -- (user_id, seq) is unique by the counter and user_event_guard; a partition's key must be in this one
    constraint user_events_pkey primary key (user_id, seq, at)
) partition by range (at);
create table partitions.user_events_default partition of user_events default;
create index user_events_by_xid on user_events (xid);

-- What changed without an event that says so: who to read anew, by the transaction that did it
-- (ADR 0027). Written by triggers alone. A slot holds the rows of a day and is emptied two days later.
create table changes (
    xid xid8 not null default pg_current_xact_id(),
    slot smallint not null,
    -- HUSTLER: whether or how this user can be offered work; BROADCAST: it began or ended; SUSPENDED:
    -- this user's account was shut; REVOKED: the tokens that this user had are refused
    kind text not null,
    id uuid not null,
    constraint changes_kind check (kind in ('HUSTLER', 'BROADCAST', 'SUSPENDED', 'REVOKED'))
) partition by list (slot);
create table partitions.changes_0 partition of changes for values in (0);
create table partitions.changes_1 partition of changes for values in (1);
create table partitions.changes_2 partition of changes for values in (2);
create index changes_by_xid on changes (xid);
-- these are told before the horizon has passed them
create index changes_shut_by_xid on changes (xid) where kind in ('SUSPENDED', 'REVOKED');

-- The newest transaction whose changes are gone: whoever stands there or before compares everything.
create table changes_emptied (
    singleton boolean not null default true,
    xid xid8 not null,
    constraint changes_emptied_pkey primary key (singleton),
    constraint changes_emptied_one_row check (singleton)
);
insert into changes_emptied (xid) values ('0');

-- What changes_since() reads (ADR 0027).

-- Rows that are there already are of no transaction that anybody waits for: a process begins at the
-- present one. A constant default is kept once for all of them, so no row is written.
alter table user_events add column xid xid8 not null default '0';
alter table user_events alter column xid set default pg_current_xact_id();
create index user_events_by_xid on user_events (xid);

create table changes (
    xid xid8 not null default pg_current_xact_id(),
    slot smallint not null,
    kind text not null,
    id uuid not null,
    constraint changes_kind check (kind in ('HUSTLER', 'BROADCAST', 'SUSPENDED'))
) partition by list (slot);
create table partitions.changes_0 partition of changes for values in (0);
create table partitions.changes_1 partition of changes for values in (1);
create table partitions.changes_2 partition of changes for values in (2);
create index changes_by_xid on changes (xid);

create table changes_emptied (
    singleton boolean not null default true,
    xid xid8 not null,
    constraint changes_emptied_pkey primary key (singleton),
    constraint changes_emptied_one_row check (singleton)
);
insert into changes_emptied (xid) values ('0');

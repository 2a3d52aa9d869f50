-- Claims and leases of background work, who runs, and what has been counted.

alter table settlements add column claimed_until timestamptz;
alter table timers add column claimed_until timestamptz;

create table leases (
    name text not null,
    holder uuid not null,
    taken_at timestamptz not null,
    held_until timestamptz not null,
    worked_at timestamptz,
    constraint leases_pkey primary key (name)
);

create table processes (
    id uuid not null,
    role text not null,
    host text not null,
    pid integer not null,
    release text not null,
    settings jsonb not null,
    started_at timestamptz not null,
    seen_at timestamptz not null default hx_clock(),
    constraint processes_pkey primary key (id)
);

create table broadcasts_counted (
    singleton boolean not null default true,
    until timestamptz not null,
    constraint broadcasts_counted_pkey primary key (singleton),
    constraint broadcasts_counted_one_row check (singleton)
);
insert into broadcasts_counted (until) values ('-infinity');

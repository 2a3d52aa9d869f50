-- Who runs, and who does what: the processes of the service and the leases they hold.

-- ── Leases ──────────────────────────────────────────────────────────────────────────────────────
-- Work that one process does for all. A lease divides it and decides nothing: what is done twice all
-- the same changes nothing the second time.
create table leases (
    name text not null,
    -- processes.id
    holder uuid not null,
    taken_at timestamptz not null,
    held_until timestamptz not null,
    -- when the round began that was last brought to its end; absent before the first
    worked_at timestamptz,
    constraint leases_pkey primary key (name)
);

-- ── Processes ───────────────────────────────────────────────────────────────────────────────────
-- A row for each process that runs, renewed by it every few seconds.
create table processes (
    id uuid not null,
    role text not null,
    host text not null,
    pid integer not null,
    release text not null,
    -- by group: a digest of the settings that must agree, and those of them that are no secret
    settings jsonb not null,
    started_at timestamptz not null,
    seen_at timestamptz not null default hx_clock(),
    constraint processes_pkey primary key (id)
);

-- ── Figures ─────────────────────────────────────────────────────────────────────────────────────
-- Up to when the ends of broadcasts have been counted, by whichever process was asked for its figures;
-- '-infinity' before the first.
create table broadcasts_counted (
    singleton boolean not null default true,
    until timestamptz not null,
    constraint broadcasts_counted_pkey primary key (singleton),
    constraint broadcasts_counted_one_row check (singleton)
);
insert into broadcasts_counted (until) values ('-infinity');

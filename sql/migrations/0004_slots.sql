-- Several broadcasters share the running broadcasts (ADR 0032).
create table broadcasters (
    id uuid not null,
    until timestamptz not null,
    constraint broadcasters_pkey primary key (id)
);
create table broadcaster_slots (
    slot smallint not null,
    owner uuid,
    until timestamptz not null default '-infinity',
    constraint broadcaster_slots_pkey primary key (slot),
    constraint broadcaster_slots_slot check (slot between 0 and 15)
);
insert into broadcaster_slots (slot) select generate_series(0, 15);

-- Routines with another signature: their files make them anew.
drop function if exists wave_poll();

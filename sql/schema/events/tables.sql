-- The log behind push, resume and long poll: gap-free per user. Written by append_events alone.
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
    constraint user_events_pkey primary key (user_id, seq)
);

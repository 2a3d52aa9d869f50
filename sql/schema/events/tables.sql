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
    -- (user_id, seq) is unique by the counter and user_event_guard; a partition's key must be in this one
    constraint user_events_pkey primary key (user_id, seq, at)
) partition by range (at);
create table partitions.user_events_default partition of user_events default;

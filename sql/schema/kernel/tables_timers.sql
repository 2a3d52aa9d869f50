-- Deadlines and idempotency keys.

-- ── Timers ──────────────────────────────────────────────────────────────────────────────────────
-- Every deadline that something waits for. Firing is at-least-once and idempotent.
create table timers (
    kind text not null,
    subject uuid not null,
    due_at timestamptz not null,
    -- until when a process that fires it has it for itself; absent or past: nobody does
    claimed_until timestamptz,
    constraint timers_pkey primary key (kind, subject),
    constraint timers_kind check (
        kind in (
            'UNFUNDED', 'DEADLINE', 'BROADCAST_END', 'CHOICE', 'CHOICE_REMINDER', 'REVIEW',
            'REVIEW_REMINDER', 'WORKING_STALE', 'REPLACEMENT', 'DISPUTE_DUE', 'FUNDS_HELD',
            'TRUST_REVIEW', 'LIVE_STATE'
        )
    )
);
create index timers_due on timers (due_at);

-- ── Idempotency keys (contract: 24 h per user and route, with a hash of the request) ────────────
create table idempotency_keys (
    user_id uuid not null,
    route text not null,
    key text not null,
    request_hash bytea not null,
    state text not null default 'IN_FLIGHT',
    status smallint,
    body bytea,
    content_type text,
    created_at timestamptz not null default hx_clock(),
    constraint idempotency_keys_pkey primary key (user_id, route, key),
    constraint idempotency_keys_state check (state in ('IN_FLIGHT', 'ANSWERED')),
    constraint idempotency_keys_key check (length(key) between 1 and 255)
);
create index idempotency_keys_age on idempotency_keys (created_at);

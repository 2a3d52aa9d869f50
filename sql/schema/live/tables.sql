-- LIVE mode: status, sessions, last fixes, broadcasts, offers, consent.

create table live_sessions (
    id uuid not null default hx_id(),
    user_id uuid not null,
    started_at timestamptz not null default hx_clock(),
    ended_at timestamptz,
    end_reason text,
    tasks_accepted integer not null default 0,
    tasks_declined integer not null default 0,
    declines_in_row integer not null default 0,
    -- ended because its positions were impossible: three within 30 days ban (architecture §10.7)
    impossible_positions boolean not null default false,
    constraint live_sessions_pkey primary key (id),
    constraint live_sessions_user foreign key (user_id) references users (id),
    constraint live_sessions_end_reason check (end_reason in ('MANUAL', 'OFFLINE', 'FORCED')),
    constraint live_sessions_ended check ((ended_at is null) = (end_reason is null)),
    constraint live_sessions_impossible check (not impossible_positions or end_reason = 'FORCED')
);
create unique index one_open_live_session_per_user on live_sessions (user_id) where ended_at is null;
create index live_sessions_by_user on live_sessions (user_id, started_at desc);

-- One row per user: what live_state() checks by, and the lock that orders a hustler's accepts.
create table live_status (
    user_id uuid not null,
    session_id uuid,
    active_since timestamptz,
    cooldown_until timestamptz,
    cooldown_reason text not null default 'ACCEPTS',
    paused_until timestamptz,
    paused_reason text,
    -- 'infinity': until an admin lifts it
    banned_until timestamptz,
    -- The shift belongs to the person, not to the session: LIVE time since the last rest, as if all of
    -- it had been worked without a break from shift_since on; off_since stops it. Written by
    -- live_status_shift() alone.
    shift_since timestamptz,
    off_since timestamptz,
    -- absent means no own limit
    radius_miles double precision,
    categories text[],
    version integer not null default 1,
    constraint live_status_pkey primary key (user_id),
    constraint live_status_user foreign key (user_id) references users (id),
    constraint live_status_session foreign key (session_id) references live_sessions (id),
    constraint live_status_paused_reason check (
        paused_reason in ('DECLINES', 'COMPLETION_RATE', 'QUICK_RELEASES')
    ),
    constraint live_status_cooldown_reason check (cooldown_reason in ('ACCEPTS', 'ADMIN')),
    constraint live_status_radius check (radius_miles between radius_miles_min() and radius_miles_max()),
    -- none at all would be a session that is never offered anything; absent means all
    constraint live_status_categories check (cardinality(categories) > 0),
    constraint live_status_since check ((session_id is null) = (active_since is null))
);

create index live_status_open on live_status (user_id) where session_id is not null;

-- Where somebody was when a position of theirs was last believed: the first one of the next session is
-- judged by it, whichever process takes it. The exact place is nobody else's business, and a row that
-- erasure can empty. A fix that is older than the one kept changes nothing.
create table last_fixes (
    user_id uuid not null,
    lat double precision not null,
    lng double precision not null,
    accuracy_m double precision not null,
    -- by the clock of the process that believed it
    fixed_at timestamptz not null,
    -- by the clock that decides
    kept_at timestamptz not null default hx_clock(),
    constraint last_fixes_pkey primary key (user_id),
    constraint last_fixes_user foreign key (user_id) references users (id),
    constraint last_fixes_place check (
        lat between -90 and 90 and lng between -180 and 180 and accuracy_m >= 0
    )
);

create table live_broadcasts (
    id uuid not null default hx_id(),
    task_id uuid not null,
    state text not null default 'ACTIVE',
    started_at timestamptz not null default hx_clock(),
    expires_at timestamptz not null,
    ended_at timestamptz,
    accepted_by uuid,
    initial_radius_miles double precision not null,
    max_radius_miles double precision not null,
    expansion_step_miles double precision not null,
    expansion_interval_s integer not null,
    -- that of its task
    partition smallint not null,
    constraint live_broadcasts_pkey primary key (id),
    constraint live_broadcasts_task foreign key (task_id) references tasks (id),
    constraint live_broadcasts_state check (
        state in ('ACTIVE', 'ACCEPTED', 'EXPIRED', 'CANCELLED')
    ),
    constraint live_broadcasts_ended check ((state = 'ACTIVE') = (ended_at is null)),
    constraint live_broadcasts_ttl check (expires_at > started_at),
    constraint live_broadcasts_plan check (
        initial_radius_miles > 0
        and max_radius_miles between initial_radius_miles and radius_miles_max()
        and expansion_step_miles > 0
        and expansion_interval_s > 0
    )
);
create unique index one_active_broadcast_per_task on live_broadcasts (task_id)
where state = 'ACTIVE';
create index live_broadcasts_by_end on live_broadcasts (ended_at);
create index live_broadcasts_by_task on live_broadcasts (task_id, started_at desc);

-- The first of these ids keeps a hustler's past out of every count (first_running_broadcast).
create index live_broadcasts_running on live_broadcasts (id) where state = 'ACTIVE';

-- An offer is unique per (broadcast, hustler). Rows are written by the wave's insert and by their
-- own hustler's answer, by nothing else; whether one is open is derived. No foreign keys: they
-- collide with the accept's row lock and cost four times the insert rate (ADR 0004). A partition holds
-- the broadcasts of one month, which their ids begin with, so that this key survives (ADR 0024).
create table offers (
    broadcast_id uuid not null,
    hustler_id uuid not null,
    task_id uuid not null,
    offered_at timestamptz not null default hx_clock(),
    distance_miles double precision not null,
    matching_score double precision not null,
    -- when the card was first written to a socket
    sent_at timestamptz,
    responded_at timestamptz,
    response text,
    decline_reason text,
    constraint offers_pkey primary key (broadcast_id, hustler_id),
    constraint offers_score check (matching_score between 0 and 1),
    constraint offers_distance check (distance_miles >= 0),
    constraint offers_response check (response in ('ACCEPT', 'DECLINE', 'SKIP')),
    constraint offers_responded check ((response is null) = (responded_at is null))
) partition by range (broadcast_id);
create table partitions.offers_default partition of offers default;
-- An id begins with its time, so the index ascends with it, and a lower bound leaves old months alone.
create index offers_by_hustler on offers (hustler_id, broadcast_id);
create index offers_unsent on offers (broadcast_id) where sent_at is null;
-- Who said yes to a STANDARD task, and when; to a LIVE one the answered offer says it.
create table acceptances (
    id bigint generated always as identity,
    task_id uuid not null,
    hustler_id uuid not null,
    said_at timestamptz not null,
    constraint acceptances_pkey primary key (id),
    constraint acceptances_task foreign key (task_id) references tasks (id),
    constraint acceptances_hustler foreign key (hustler_id) references users (id)
);
create index acceptances_by_task on acceptances (task_id, hustler_id);
-- Who runs which broadcasts: leases of 16 slots on the server's clock. They divide work and decide nothing:
-- the key of offers makes two owners of a slot harmless (ADR 0032).
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

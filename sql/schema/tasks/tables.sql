-- Tasks, their arrivals, codes and history.

-- What a poster asks for and a hustler agrees to do: the columns of tasks that are versioned, fixed once
-- the money is held, and handed on to a successor (functions_terms.sql). New ones come last.
create type task_terms as (
    title text,
    description text,
    category text,
    price integer,
    location_lat double precision,
    location_lng double precision,
    location_address text,
    place_lat double precision,
    place_lng double precision,
    deadline timestamptz,
    requires_proof boolean,
    min_photos smallint,
    estimated_minutes integer,
    required_trade text,
    required_trust_tier smallint,
    insurance_required boolean,
    background_check_required boolean,
    partition smallint
);

create table tasks (
    id uuid not null default hx_id(),
    -- counts changes of the terms a hustler accepts
    version integer not null default 1,
    mode text not null default 'STANDARD',
    state text not null,
    title text not null,
    description text not null,
    category text not null,
    price integer not null,
    location_lat double precision not null,
    location_lng double precision not null,
    location_address text,
    -- centre of the place's resolution-8 cell: all that others see before accept
    place_lat double precision not null,
    place_lng double precision not null,
    -- of the place's resolution-4 cell (geo/cells.py): what broadcasters and cells divide their work by
    partition smallint not null,
    deadline timestamptz,
    requires_proof boolean not null default true,
    min_photos smallint not null default 1,
    estimated_minutes integer,
    required_trade text,
    required_trust_tier smallint not null default 1,
    insurance_required boolean not null default false,
    background_check_required boolean not null default false,
    poster_id uuid not null,
    -- the sole assignment field; only an accept writes it (LIVE-7, architecture §14.4)
    assigned_hustler_id uuid,
    predecessor_id uuid,
    cancel_reason text,
    created_at timestamptz not null default hx_clock(),
    updated_at timestamptz not null default hx_clock(),
    accepted_at timestamptz,
    en_route_at timestamptz,
    -- when the hustler was expected, from the distance at accept; null where none was known
    eta_at timestamptz,
    arrived_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    -- proofs that the poster turned down; the third becomes a dispute
    rejections smallint not null default 0,
    constraint tasks_pkey primary key (id),
    constraint tasks_poster foreign key (poster_id) references users (id),
    constraint tasks_hustler foreign key (assigned_hustler_id) references users (id),
    constraint tasks_predecessor foreign key (predecessor_id) references tasks (id),
    constraint tasks_one_successor unique (predecessor_id),
    constraint tasks_mode check (mode in ('STANDARD', 'LIVE')),
    constraint tasks_state check (
        state in (
            'OPEN', 'MATCHING', 'ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED',
            'COMPLETED', 'CANCELLED', 'EXPIRED'
        )
    ),
    -- a LIVE task is never OPEN, a STANDARD one never MATCHING
    constraint tasks_state_of_mode check (
        (mode = 'LIVE' and state <> 'OPEN') or (mode = 'STANDARD' and state <> 'MATCHING')
    ),
    constraint tasks_price_floor check (price >= task_price_min_cents()),
    constraint tasks_live_price_floor check (mode <> 'LIVE' or price >= live_price_min_cents()),
    constraint tasks_not_own check (assigned_hustler_id <> poster_id),
    constraint tasks_tier check (required_trust_tier between 1 and 4),
    constraint tasks_deadline check (deadline < '2200-01-01'),
    constraint tasks_title check (visible_text(title) and length(title) <= task_title_chars_max()),
    constraint tasks_description check (visible_text(description)),
    constraint tasks_category check (visible_text(category)),
    constraint tasks_trade check (visible_text(required_trade)),
    constraint tasks_address check (location_address = '' or visible_text(location_address)),
    constraint tasks_photos check (min_photos between 1 and photos_max()),
    constraint tasks_location check (
        location_lat between -90 and 90 and location_lng between -180 and 180
    ),
    constraint tasks_held check (
        state not in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED')
        or assigned_hustler_id is not null
    ),
    constraint tasks_partition check (partition between 0 and 63),
    constraint tasks_started check (state <> 'WORKING' or started_at is not null),
    constraint tasks_rejections check (rejections between 0 and rejections_max())
);

-- How it is known that the hustler came: a position at the place, or a code that the poster gave at the
-- door. A CLAIM is the hustler's word alone; it stands on record and decides nothing (design §2).
-- Of a position only its distance and age are kept.
create table arrivals (
    task_id uuid not null,
    hustler_id uuid not null,
    evidence text not null,
    at timestamptz not null,
    distance_m double precision,
    fixed_at timestamptz,
    constraint arrivals_pkey primary key (task_id, evidence),
    constraint arrivals_task foreign key (task_id) references tasks (id),
    constraint arrivals_hustler foreign key (hustler_id) references users (id),
    constraint arrivals_evidence check (
        evidence in ('POSITION', 'START_CODE', 'COMPLETION_CODE', 'CLAIM')
    ),
    -- near the task, measured just now
    constraint arrivals_position check (
        case evidence
            when 'POSITION' then coalesce(
                distance_m between 0 and arrival_radius_m()
                and fixed_at between at - arrival_fix_age_max() and at,
                false
            )
            else distance_m is null and fixed_at is null
        end
    )
);

-- HX014: at most one LIVE task in ACCEPTED or WORKING per hustler. A lock on the task alone does
-- not stop one hustler from winning several. A task that came back for rework stands beside the
-- one that its hustler may have accepted since: a poster can always reject.
create unique index one_active_live_task_per_hustler on tasks (assigned_hustler_id)
where mode = 'LIVE' and state in ('ACCEPTED', 'WORKING') and rejections = 0;
create index tasks_by_poster on tasks (poster_id, created_at desc, id);
create index tasks_by_hustler on tasks (assigned_hustler_id, created_at desc, id);
create index tasks_under_way on tasks (created_at desc)
where state in ('MATCHING', 'ACCEPTED', 'WORKING', 'PROOF_SUBMITTED');

-- The market price looks at the newest tasks of a category.
create index tasks_market on tasks (category, created_at desc);
-- Who is busy, without the tasks of the past.
create index tasks_in_work on tasks (assigned_hustler_id) where state in ('ACCEPTED', 'WORKING');

-- Codes are derived by HMAC from the server's key; nothing is stored but what limits guessing.
create table task_codes (
    task_id uuid not null,
    kind text not null,
    generation integer not null default 1,
    tries smallint not null default 0,
    locked_until timestamptz,
    constraint task_codes_pkey primary key (task_id, kind),
    constraint task_codes_task foreign key (task_id) references tasks (id),
    constraint task_codes_kind check (kind in ('START', 'COMPLETION'))
);

-- The audit trail. Written by a trigger, so a change from psql stands in it too.
create table task_transitions (
    id bigint generated always as identity,
    task_id uuid not null,
    from_state text,
    to_state text not null,
    actor_id uuid,
    reason text,
    at timestamptz not null,
    constraint task_transitions_pkey primary key (id),
    constraint task_transitions_task foreign key (task_id) references tasks (id)
);
create index task_transitions_by_task on task_transitions (task_id, id);

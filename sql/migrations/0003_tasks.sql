-- Tasks, their lifecycle and its judges.

create table tasks (
    id uuid not null default gen_random_uuid(),
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
    arrived_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
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
    constraint tasks_price_floor check (price >= 500),
    constraint tasks_live_price_floor check (mode <> 'LIVE' or price >= 1500),
    constraint tasks_not_own check (assigned_hustler_id <> poster_id),
    constraint tasks_tier check (required_trust_tier between 1 and 4),
    constraint tasks_deadline check (deadline < '2200-01-01'),
    constraint tasks_title check (title ~ '\S' and length(title) <= 200),
    constraint tasks_photos check (min_photos between 1 and 5),
    constraint tasks_location check (
        location_lat between -90 and 90 and location_lng between -180 and 180
    ),
    constraint tasks_held check (
        state not in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED') or assigned_hustler_id is not null
    )
);

-- HX014: at most one LIVE task in ACCEPTED or WORKING per hustler. A lock on the task alone does
-- not stop one hustler from winning several.
create unique index one_active_live_task_per_hustler on tasks (assigned_hustler_id)
where mode = 'LIVE' and state in ('ACCEPTED', 'WORKING');
create index tasks_by_poster on tasks (poster_id, created_at desc, id);
create index tasks_by_hustler on tasks (assigned_hustler_id, created_at desc, id);
create index tasks_under_way on tasks (created_at desc)
where state in ('MATCHING', 'ACCEPTED', 'WORKING', 'PROOF_SUBMITTED');

create table proofs (
    id uuid not null default gen_random_uuid(),
    task_id uuid not null,
    hustler_id uuid not null,
    -- CODE: the completion code; NONE: a task that asks for no proof
    kind text not null,
    state text not null default 'SUBMITTED',
    submitted_at timestamptz not null default hx_clock(),
    reviewed_at timestamptz,
    constraint proofs_pkey primary key (id),
    constraint proofs_task foreign key (task_id) references tasks (id),
    constraint proofs_kind check (kind in ('CODE', 'NONE')),
    constraint proofs_state check (
        state in ('PENDING', 'SUBMITTED', 'ACCEPTED', 'REJECTED', 'EXPIRED')
    )
);
create index proofs_by_task on proofs (task_id);

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

-- ── Lifecycle ──────────────────────────────────────────────────────────────────────────────────
-- The legal steps. Twin of engine/tasks/transitions.py; a test holds them equal.
create table task_transition_rules (
    event text not null,
    from_state text not null,
    to_state text not null,
    actor text not null,
    constraint task_transition_rules_pkey primary key (event, from_state, to_state)
);

insert into task_transition_rules (event, from_state, to_state, actor) values
('accept', 'OPEN', 'ACCEPTED', 'hustler'),
('accept', 'MATCHING', 'ACCEPTED', 'hustler'),
('start', 'ACCEPTED', 'WORKING', 'hustler'),
('submit_proof', 'ACCEPTED', 'PROOF_SUBMITTED', 'hustler'),
('submit_proof', 'WORKING', 'PROOF_SUBMITTED', 'hustler'),
('approve', 'PROOF_SUBMITTED', 'COMPLETED', 'poster'),
('release', 'ACCEPTED', 'CANCELLED', 'hustler'),
('cancel', 'OPEN', 'CANCELLED', 'poster'),
('cancel', 'MATCHING', 'CANCELLED', 'poster'),
('cancel', 'ACCEPTED', 'CANCELLED', 'poster'),
('expire', 'OPEN', 'EXPIRED', 'timer'),
('expire', 'MATCHING', 'EXPIRED', 'timer');

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

-- Who acts, and why: read by the audit trigger, gone with the transaction.
create function hx_act(actor uuid, reason text) returns void
language plpgsql
as $$
begin
    perform set_config('hx.actor', coalesce(actor::text, ''), true);
    perform set_config('hx.reason', coalesce(reason, ''), true);
end;
$$;

create function task_transition_audit() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    insert into task_transitions (task_id, from_state, to_state, actor_id, reason, at)
    values (
        new.id,
        case tg_op when 'UPDATE' then old.state end,
        new.state,
        nullif(current_setting('hx.actor', true), '')::uuid,
        nullif(current_setting('hx.reason', true), ''),
        hx_clock()
    );
    return null;
end;
$$;

create trigger task_transition_audit_insert after insert on tasks
for each row execute function task_transition_audit();
create trigger task_transition_audit_update after update of state on tasks
for each row when (old.state is distinct from new.state)
execute function task_transition_audit();

-- HX001: a task that has ended is frozen; only updated_at may change (product_spec §3.4).
create function task_terminal_guard() returns trigger
language plpgsql
as $$
declare
    before tasks := old;
begin
    before.updated_at := new.updated_at;
    if before is distinct from new then
        perform hx_refuse('HX001', 'TASK-TERMINAL');
    end if;
    return new;
end;
$$;

create trigger task_terminal_guard before update on tasks
for each row when (old.state in ('COMPLETED', 'CANCELLED', 'EXPIRED'))
execute function task_terminal_guard();

-- HX010: only the steps of task_transition_rules; a task starts as OPEN or MATCHING by its mode.
create function task_transition_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> (case new.mode when 'LIVE' then 'MATCHING' else 'OPEN' end)
            or new.assigned_hustler_id is not null
        then
            perform hx_refuse('HX010', 'TRANSITION');
        end if;
        return new;
    end if;
    if new.state is distinct from old.state and not exists (
        select from task_transition_rules as r
        where r.from_state = old.state and r.to_state = new.state
    ) then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if new.assigned_hustler_id is distinct from old.assigned_hustler_id
        and not (new.state = 'ACCEPTED' and old.state in ('OPEN', 'MATCHING'))
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return new;
end;
$$;

create trigger task_transition_guard before insert or update on tasks
for each row execute function task_transition_guard();

-- HX010: mode never changes (product_spec §3.5).
create function task_mode_immutable() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse('HX010', 'MODE-IMMUTABLE');
    return null;
end;
$$;

create trigger task_mode_immutable before update of mode on tasks
for each row when (old.mode is distinct from new.mode) execute function task_mode_immutable();

-- HX902 (LIVE-2): a LIVE task costs at least $15.00; the CHECK stands behind it.
create function live_price_floor() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse('HX902', 'LIVE-2');
    return null;
end;
$$;

create trigger live_price_floor before insert or update of price on tasks
for each row when (new.mode = 'LIVE' and new.price < 1500) execute function live_price_floor();

-- HX301 (INV-3): COMPLETED needs an ACCEPTED proof; PROOF_SUBMITTED needs a submitted one.
create function task_completed_requires_accepted_proof() returns trigger
language plpgsql
as $$
begin
    if (old.requires_proof or new.requires_proof) and not exists (
        select from proofs as p where p.task_id = new.id and p.state = 'ACCEPTED'
    ) then
        perform hx_refuse('HX301', 'INV-3');
    end if;
    return new;
end;
$$;

create trigger task_completed_requires_accepted_proof before update of state on tasks
for each row when (
    new.state = 'COMPLETED' and old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
)
execute function task_completed_requires_accepted_proof();

-- A proof is handed in by the hustler who holds the task, and stays what and whose it is (INV-3).
create function proof_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'UPDATE' then
        if (old.task_id, old.hustler_id, old.kind) is distinct from
            (new.task_id, new.hustler_id, new.kind)
        then
            perform hx_refuse('HX301', 'INV-3');
        end if;
    elsif new.state <> 'SUBMITTED' or not exists (
        select from tasks as t
        where t.id = new.task_id and t.assigned_hustler_id = new.hustler_id
            and t.state in ('ACCEPTED', 'WORKING')
    ) then
        perform hx_refuse('HX301', 'INV-3');
    end if;
    return new;
end;
$$;

create trigger proof_guard before insert or update on proofs
for each row execute function proof_guard();

create function task_submission_requires_proof() returns trigger
language plpgsql
as $$
begin
    if not exists (
        select from proofs as p where p.task_id = new.id and p.state = 'SUBMITTED'
    ) then
        perform hx_refuse('HX301', 'INV-3');
    end if;
    return new;
end;
$$;

create trigger task_submission_requires_proof before update of state on tasks
for each row when (old.state in ('ACCEPTED', 'WORKING') and new.state = 'PROOF_SUBMITTED')
execute function task_submission_requires_proof();

-- The terms of a task carry a version; an accept may name the one it saw.
create function task_version() returns trigger
language plpgsql
as $$
begin
    new.version := old.version + 1;
    return new;
end;
$$;

create trigger task_version before update on tasks
for each row when (
    (old.title, old.description, old.price, old.deadline, old.location_lat, old.location_lng)
    is distinct from
    (new.title, new.description, new.price, new.deadline, new.location_lat, new.location_lng)
    and old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
)
execute function task_version();

-- ── Timers ─────────────────────────────────────────────────────────────────────────────────────
-- Every deadline that something waits for. Firing is at-least-once and idempotent.
create table timers (
    kind text not null,
    subject uuid not null,
    due_at timestamptz not null,
    constraint timers_pkey primary key (kind, subject),
    constraint timers_kind check (
        kind in ('UNFUNDED', 'DEADLINE', 'BROADCAST_END', 'CHOICE', 'REVIEW')
    )
);
create index timers_due on timers (due_at);

create function hx_timer(p_kind text, p_subject uuid, p_due_at timestamptz) returns void
language sql
begin atomic
    insert into timers (kind, subject, due_at) values (p_kind, p_subject, p_due_at)
    on conflict (kind, subject) do update set due_at = excluded.due_at;
end;

-- ── Idempotency keys (contract: 24 h per user and route, with a hash of the request) ─────────────
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

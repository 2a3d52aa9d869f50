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
    constraint tasks_price_floor check (price >= 500),
    constraint tasks_live_price_floor check (mode <> 'LIVE' or price >= 1500),
    constraint tasks_not_own check (assigned_hustler_id <> poster_id),
    constraint tasks_tier check (required_trust_tier between 1 and 4),
    constraint tasks_deadline check (deadline < '2200-01-01'),
    constraint tasks_title check (visible_text(title) and length(title) <= 200),
    constraint tasks_description check (visible_text(description)),
    constraint tasks_category check (visible_text(category)),
    constraint tasks_trade check (visible_text(required_trade)),
    constraint tasks_address check (location_address = '' or visible_text(location_address)),
    constraint tasks_photos check (min_photos between 1 and 5),
    constraint tasks_location check (
        location_lat between -90 and 90 and location_lng between -180 and 180
    ),
    constraint tasks_held check (
        state not in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED')
        or assigned_hustler_id is not null
    ),
    constraint tasks_started check (state <> 'WORKING' or started_at is not null),
    constraint tasks_rejections check (rejections between 0 and 3)
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
    -- within 150 m of the task, measured within the last 5 minutes
    constraint arrivals_position check (
        case evidence
            when 'POSITION' then coalesce(
                distance_m between 0 and 150 and fixed_at between at - interval '5 minutes' and at,
                false
            )
            else distance_m is null and fixed_at is null
        end
    )
);

-- HX801: how it is known that somebody came stays on record.
create trigger arrivals_append_only before update or delete or truncate on arrivals
for each statement execute function append_only('HX801', 'AUDIT-5');

-- HX010: only who is on the way arrives, and not ahead of time.
create function arrival_guard() returns trigger
language plpgsql
as $$
begin
    if new.at > hx_clock() or not exists (
        select from tasks as t
        where t.id = new.task_id and t.assigned_hustler_id = new.hustler_id
            and (
                t.state = 'ACCEPTED'
                or t.state = 'WORKING' and new.evidence = 'COMPLETION_CODE'
            )
    ) then
        perform hx_refuse('HX010', 'ARRIVAL');
    end if;
    return new;
end;
$$;

create trigger arrival_guard before insert on arrivals
for each row execute function arrival_guard();

-- HX014: at most one LIVE task in ACCEPTED or WORKING per hustler. A lock on the task alone does
-- not stop one hustler from winning several. A task that came back for rework stands beside the
-- one that its hustler may have accepted since: a poster can always reject.
create unique index one_active_live_task_per_hustler on tasks (assigned_hustler_id)
where mode = 'LIVE' and state in ('ACCEPTED', 'WORKING') and rejections = 0;
create index tasks_by_poster on tasks (poster_id, created_at desc, id);
create index tasks_by_hustler on tasks (assigned_hustler_id, created_at desc, id);
create index tasks_under_way on tasks (created_at desc)
where state in ('MATCHING', 'ACCEPTED', 'WORKING', 'PROOF_SUBMITTED');

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
-- Every machine's legal steps, as one table. Twin of engine/kernel/lifecycle.py; a test holds them equal,
-- and docs/lifecycle.md is drawn from it.
create table lifecycle (
    machine text not null,
    event text not null,
    from_state text not null,
    to_state text not null,
    actors text[] not null,
    guard text not null,
    constraint lifecycle_pkey primary key (machine, event, from_state, to_state)
);

insert into lifecycle (machine, event, from_state, to_state, actors, guard) values
('task', 'accept', 'OPEN', 'ACCEPTED', '{hustler}', 'escrow FUNDED, eligible'),
(
    'task', 'accept', 'MATCHING', 'ACCEPTED', '{hustler}',
    'escrow FUNDED, eligible, ACTIVE, not busy, own open offer'
),
('task', 'start', 'ACCEPTED', 'WORKING', '{hustler}', 'start code'),
(
    'task', 'submit_proof', 'ACCEPTED', 'PROOF_SUBMITTED', '{hustler}',
    'proof SUBMITTED; without the completion code only once arrived'
),
('task', 'submit_proof', 'WORKING', 'PROOF_SUBMITTED', '{hustler}', 'proof SUBMITTED'),
(
    'task', 'approve', 'PROOF_SUBMITTED', 'COMPLETED', '{poster,timer}',
    'proof ACCEPTED (INV-3); the timer after 48 h'
),
('task', 'reject', 'PROOF_SUBMITTED', 'ACCEPTED', '{poster}', 'proof REJECTED, not started'),
('task', 'reject', 'PROOF_SUBMITTED', 'WORKING', '{poster}', 'proof REJECTED, started'),
(
    'task', 'dispute', 'ACCEPTED', 'DISPUTED', '{poster,hustler,admin,system}',
    'dispute open, escrow locked; arrived or rejected, but for a chargeback'
),
(
    'task', 'dispute', 'WORKING', 'DISPUTED', '{poster,hustler,admin,system}',
    'dispute open, escrow locked'
),
(
    'task', 'dispute', 'PROOF_SUBMITTED', 'DISPUTED', '{poster,hustler,admin,system}',
    'dispute open, escrow locked; the third rejection opens it'
),
(
    'task', 'resolve', 'DISPUTED', 'COMPLETED', '{admin}',
    'resolved for the hustler or as a split; proof DECISION'
),
('task', 'resolve', 'DISPUTED', 'CANCELLED', '{admin}', 'resolved for the poster'),
('task', 'release', 'ACCEPTED', 'CANCELLED', '{hustler}', 'a successor takes the escrow'),
('task', 'cancel', 'OPEN', 'CANCELLED', '{poster,timer,admin,system}', 'full refund'),
(
    'task', 'cancel', 'MATCHING', 'CANCELLED', '{poster,timer,admin,system}',
    'full refund, or a successor takes the escrow'
),
(
    'task', 'cancel', 'ACCEPTED', 'CANCELLED', '{poster,admin}',
    'not arrived; full refund; NO_SHOW from ETA + 15 min'
),
('task', 'expire', 'OPEN', 'EXPIRED', '{timer}', 'past the deadline; full refund'),
('task', 'expire', 'MATCHING', 'EXPIRED', '{timer}', 'past the deadline; full refund'),
('task', 'expire', 'ACCEPTED', 'EXPIRED', '{}', 'past the deadline; legal, but never swept'),
('task', 'expire', 'WORKING', 'EXPIRED', '{}', 'past the deadline; legal, but never swept'),
('task', 'expire', 'PROOF_SUBMITTED', 'EXPIRED', '{}', 'past the deadline; legal, but never swept'),
('task', 'expire', 'DISPUTED', 'EXPIRED', '{}', 'past the deadline, dispute resolved for the poster'),
('escrow', 'fund', 'PENDING', 'FUNDED', '{provider}', 'the payment succeeded'),
('escrow', 'cancel', 'PENDING', 'CANCELLED', '{poster,timer}', 'never funded'),
('escrow', 'release', 'FUNDED', 'RELEASED', '{provider}', 'task COMPLETED (INV-2)'),
('escrow', 'refund', 'FUNDED', 'REFUNDED', '{provider}', 'task CANCELLED or EXPIRED, or replaced'),
('escrow', 'lock', 'FUNDED', 'LOCKED_DISPUTE', '{poster,hustler,admin,system}', 'dispute open'),
('escrow', 'release', 'LOCKED_DISPUTE', 'RELEASED', '{provider}', 'resolved for the hustler'),
('escrow', 'refund', 'LOCKED_DISPUTE', 'REFUNDED', '{provider}', 'resolved for the poster'),
('escrow', 'partial', 'LOCKED_DISPUTE', 'REFUND_PARTIAL', '{provider}', 'resolved as a split'),
('proof', 'submit', 'PENDING', 'SUBMITTED', '{hustler}', 'as many photos as the task asks for'),
('proof', 'accept', 'SUBMITTED', 'ACCEPTED', '{poster,timer}', ''),
('proof', 'reject', 'SUBMITTED', 'REJECTED', '{poster}', 'a reason'),
('proof', 'lapse', 'PENDING', 'EXPIRED', '{admin}', 'the task ended without a review'),
('proof', 'lapse', 'SUBMITTED', 'EXPIRED', '{admin}', 'the task ended without a review'),
('dispute', 'ask', 'OPEN', 'EVIDENCE_REQUESTED', '{admin}', ''),
('dispute', 'escalate', 'OPEN', 'ESCALATED', '{admin,timer}', ''),
('dispute', 'escalate', 'EVIDENCE_REQUESTED', 'ESCALATED', '{admin,timer}', ''),
('dispute', 'resolve', 'OPEN', 'RESOLVED', '{admin}', 'outcome, amounts, reason'),
('dispute', 'resolve', 'EVIDENCE_REQUESTED', 'RESOLVED', '{admin}', 'outcome, amounts, reason'),
('dispute', 'resolve', 'ESCALATED', 'RESOLVED', '{admin}', 'outcome, amounts, reason'),
('settlement', 'book', 'PENDING', 'DONE', '{provider}', 'every leg succeeded'),
('settlement', 'hold', 'PENDING', 'HELD', '{provider,system}', 'an operator is needed'),
('settlement', 'retry', 'HELD', 'PENDING', '{admin,system}', ''),
('settlement', 'book', 'HELD', 'DONE', '{provider}', 'every leg succeeded'),
('proposal', 'agree', 'OPEN', 'AGREED', '{poster,hustler}', 'the other side; a replacement escrow'),
('proposal', 'decline', 'OPEN', 'DECLINED', '{poster,hustler}', 'the other side, or its proposer'),
('proposal', 'lapse', 'OPEN', 'LAPSED', '{poster,hustler,timer}', 'the task moved on'),
('proposal', 'lapse', 'AGREED', 'LAPSED', '{poster,hustler,timer}', 'not paid in time'),
('proposal', 'apply', 'AGREED', 'APPLIED', '{provider}', 'the replacement is paid');

create function lifecycle_allows(p_machine text, p_from text, p_to text) returns boolean
language sql stable
return exists (
    select from lifecycle as l
    where l.machine = p_machine and l.from_state = p_from and l.to_state = p_to
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

-- HX801: the audit trail only grows (architecture §9.3, AUDIT-5).
create trigger task_transitions_append_only before update or delete or truncate on task_transitions
for each statement execute function append_only('HX801', 'AUDIT-5');

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

-- HX010: only the steps of the lifecycle. A task starts as OPEN or MATCHING by its mode, with nothing
-- of a later state; it follows another of its poster's that was cancelled, for the same price.
create function task_transition_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> (case new.mode when 'LIVE' then 'MATCHING' else 'OPEN' end)
            or new.rejections <> 0
            or num_nonnulls(
                new.assigned_hustler_id, new.accepted_at, new.en_route_at, new.eta_at,
                new.arrived_at, new.started_at, new.completed_at, new.cancel_reason
            ) > 0
            or new.predecessor_id is not null and not exists (
                select from tasks as gone
                where gone.id = new.predecessor_id and gone.state = 'CANCELLED'
                    and gone.poster_id = new.poster_id and gone.price = new.price
            )
        then
            perform hx_refuse('HX010', 'TRANSITION');
        end if;
        return new;
    end if;
    if new.state is distinct from old.state
        and not lifecycle_allows('task', old.state, new.state)
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    -- a deadline bounds the acceptance: nothing expires before it
    if new.state = 'EXPIRED' and old.state <> 'EXPIRED'
        and coalesce(new.deadline > hx_clock(), true)
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    -- from an arrival on only a dispute takes the task from its hustler
    if old.state = 'ACCEPTED' and new.state = 'CANCELLED' and old.arrived_at is not null
        and new.cancel_reason is distinct from 'HUSTLER_RELEASED'
    then
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

-- HX503: a task is posted by an account that may post, which an admin's may not. A successor goes on in
-- the name of its predecessor's poster, whatever became of the account.
create function task_poster_guard() returns trigger
language plpgsql
as $$
begin
    if not exists (select from users as u where u.id = new.poster_id and may_post(u.role)) then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
    return new;
end;
$$;

create trigger task_poster_guard before insert on tasks
for each row when (new.predecessor_id is null)
execute function task_poster_guard();

-- HX010: what happened is marked by the step that did it, once, and stays; rejections are counted,
-- not claimed; a no-show is none before its time. A task keeps its name and whom it follows, and its
-- version is counted by task_version alone.
create function task_marks_guard() returns trigger
language plpgsql
as $$
begin
    if (old.id, old.created_at, old.predecessor_id, old.version)
        is distinct from (new.id, new.created_at, new.predecessor_id, new.version)
        or (old.accepted_at, old.en_route_at, old.eta_at)
        is distinct from (new.accepted_at, new.en_route_at, new.eta_at)
        and not (old.state in ('OPEN', 'MATCHING') and new.state = 'ACCEPTED')
        or old.arrived_at is distinct from new.arrived_at
        and (old.arrived_at is not null or old.state not in ('ACCEPTED', 'WORKING'))
        or old.started_at is distinct from new.started_at
        and not (old.state = 'ACCEPTED' and new.state = 'WORKING')
        or old.completed_at is distinct from new.completed_at and new.state <> 'COMPLETED'
        or old.cancel_reason is distinct from new.cancel_reason
        and new.state not in ('CANCELLED', 'EXPIRED')
        or old.rejections <> new.rejections and new.rejections <> (
            select count(*) from proofs as p where p.task_id = new.id and p.state = 'REJECTED'
        )
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    -- nobody has come, and no work has begun, on the hustler's word alone
    if old.arrived_at is distinct from new.arrived_at and not exists (
        select from arrivals as a
        where a.task_id = new.id and a.at = new.arrived_at and a.evidence <> 'CLAIM'
    ) or old.started_at is distinct from new.started_at and not exists (
        select from arrivals as a
        where a.task_id = new.id and a.at = new.started_at and a.evidence = 'START_CODE'
    ) then
        perform hx_refuse('HX010', 'ARRIVAL');
    end if;
    if old.state = 'ACCEPTED' and new.cancel_reason = 'NO_SHOW' and hx_clock() < no_show_from(old)
    then
        perform hx_refuse('HX010', 'NO-SHOW', no_show_from(old));
    end if;
    return new;
end;
$$;

create trigger task_marks_guard before update on tasks
for each row when (old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED'))
execute function task_marks_guard();

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
for each row when (
    old.mode is distinct from new.mode and old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
)
execute function task_mode_immutable();

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

-- HX301 (INV-3): COMPLETED needs an ACCEPTED proof.
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

-- HX301: PROOF_SUBMITTED needs a submitted proof.
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
    (
        old.title, old.description, old.category, old.price, old.deadline, old.location_lat,
        old.location_lng, old.location_address, old.requires_proof, old.min_photos,
        old.estimated_minutes, old.required_trade, old.required_trust_tier,
        old.insurance_required, old.background_check_required
    )
    is distinct from
    (
        new.title, new.description, new.category, new.price, new.deadline, new.location_lat,
        new.location_lng, new.location_address, new.requires_proof, new.min_photos,
        new.estimated_minutes, new.required_trade, new.required_trust_tier,
        new.insurance_required, new.background_check_required
    )
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
        kind in (
            'UNFUNDED', 'DEADLINE', 'BROADCAST_END', 'CHOICE', 'CHOICE_REMINDER', 'REVIEW',
            'REVIEW_REMINDER', 'WORKING_STALE', 'REPLACEMENT', 'DISPUTE_DUE', 'FUNDS_HELD',
            'TRUST_REVIEW', 'LIVE_STATE'
        )
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

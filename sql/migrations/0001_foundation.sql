-- The clock, the error catalogue and the ledger of durable events.

-- The schema is closed: nobody but the owner creates in it.
revoke create on schema public from public;
grant usage on schema public to hx_app, hx_ai, hx_readonly;
alter default privileges in schema public grant select on tables to hx_app, hx_ai, hx_readonly;
alter default privileges revoke execute on functions from public;
alter default privileges in schema public grant execute on functions to hx_app;

-- ── Clock ──────────────────────────────────────────────────────────────────────────────────────
-- Empty in production; one row in tests and in `hustlexp clock advance`. Only the owner writes it.
create table clock_offset (
    singleton boolean not null default true,
    amount interval not null,
    constraint clock_offset_pkey primary key (singleton),
    constraint clock_offset_one_row check (singleton)
);

create function hx_clock() returns timestamptz
language sql volatile
return clock_timestamp() + coalesce((select c.amount from clock_offset as c), interval '0');
comment on function hx_clock() is
'The clock that decides. Rules read it after taking their locks.';

-- A time as every message writes it (gateway/contract/encoding.py): for facts without a type of their own.
create function wire_time(p_at timestamptz) returns text
language sql stable
return to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- ── Texts of people ─────────────────────────────────────────────────────────────────────────────
-- Whether a text shows something, and holds no control character but tab and new line and nothing
-- that turns the direction of the text around it. Twin of gateway/contract/fields.py; a test holds them equal.
create function visible_text(p_text text) returns boolean
language sql immutable
return
    p_text ~ (
        '[^\u0001-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5'
        || '\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164'
        || '\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U0001bca0-\U0001bca3'
        || '\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u0300-\u036f\u1ab0-\u1aff'
        || '\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]'
    )
    and replace(p_text, e'\r\n', e'\n') !~ (
        '[\u0001-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u206a-\u206f\ufff9-\ufffb'
        || '\ufffe\uffff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]'
    );

-- ── Errors ─────────────────────────────────────────────────────────────────────────────────────
-- The identity of a refusal is code + invariant: SQLSTATE and CONSTRAINT of the raised error.
create table error_catalogue (
    code text not null,
    invariant text not null,
    title text not null,
    retryable boolean not null default false,
    constraint error_catalogue_pkey primary key (code, invariant)
);

-- DETAIL says in how many seconds it may be tried again, where waiting helps.
create function hx_refuse(code text, invariant text, retry_at timestamptz default null)
returns void
language plpgsql
as $$
declare
    title text;
begin
    select c.title into title
    from error_catalogue as c
    where c.code = hx_refuse.code and c.invariant = hx_refuse.invariant;
    raise exception using
        errcode = hx_refuse.code,
        constraint = hx_refuse.invariant,
        message = coalesce(title, hx_refuse.code),
        detail = coalesce(
            case when isfinite(retry_at) then ceil(extract(epoch from retry_at - hx_clock())) end::text,
            ''
        );
end;
$$;

create function hx_not_found() returns void
language plpgsql
as $$
begin
    raise exception using errcode = 'no_data_found', message = 'There is no such thing here.';
end;
$$;

-- Append-only: update, delete and truncate are refused with the ledger's own code, even where no row
-- would have been touched. The roles of the service hold the privilege to update and delete, so that
-- this answer, which says why, comes before a bare 42501.
create function append_only() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse(tg_argv[0], tg_argv[1]);
    return null;
end;
$$;

insert into error_catalogue (code, invariant, title, retryable) values
('HX001', 'TASK-TERMINAL', 'The task has ended and can no longer change.', false),
('HX002', 'ESCROW-TERMINAL', 'The escrow has ended and can no longer change.', false),
('HX004', 'INV-4', 'An escrow''s amount never changes.', false),
('HX101', 'INV-1', 'XP is awarded only for released money.', false),
('HX102', 'XP-LEDGER', 'The XP ledger only grows.', false),
('HX201', 'INV-2', 'Money is released only for a completed task.', false),
('HX301', 'INV-3', 'A task completes only with an accepted proof.', false),
('HX401', 'BADGE', 'Badges are earned, and stay.', false),
('HX801', 'ADMIN-AUDIT', 'What an operator did stays on record.', false),
('HX801', 'TRUST-LEDGER', 'The trust ledger only grows.', false),
('HX801', 'AUDIT-5', 'This record only grows.', false),
('HX010', 'TRANSITION', 'This step is not possible in the task''s present state.', false),
('HX010', 'ESCROW-TRANSITION', 'This step is not possible in the escrow''s state.', false),
('HX010', 'PROOF-TRANSITION', 'This step is not possible in the proof''s state.', false),
('HX010', 'DISPUTE-TRANSITION', 'This step is not possible in the dispute''s state.', false),
('HX010', 'PROPOSAL', 'This step is not possible in the price proposal''s state.', false),
('HX010', 'CONSERVATION', 'Money held, paid and given back must add up.', false),
('HX010', 'COVER', 'Money that was taken back, or may be, does not move.', false),
('HX010', 'ARRIVAL', 'First arrive at the place, or start with the poster''s code.', false),
('HX010', 'NO-SHOW', 'The hustler is not late enough to count as a no-show.', false),
('HX010', 'TRUST-TIER', 'A trust tier changes only by its rules.', false),
('HX010', 'LIVE-7', 'A task is accepted only by its hustler''s own yes.', false),
('HX010', 'MODE-IMMUTABLE', 'A task''s mode is fixed when it is created.', false),
('HX010', 'VERSION', 'The task''s terms have changed since you saw them.', false),
('HX011', 'TAKEN', 'Another hustler has taken this task.', false),
('HX012', 'ELIGIBILITY', 'You cannot accept this task.', false),
('HX013', 'OWN-TASK', 'You cannot accept your own task.', false),
('HX014', 'BUSY', 'You hold another task already.', false),
('HX015', 'LIVE-5', 'This broadcast is over.', false),
('HX016', 'FUNDED', 'The task''s escrow is not funded.', false),
('HX016', 'PAYMENT', 'The payment was refused.', false),
('HX016', 'PAYOUT-ACCOUNT', 'The hustler has no account to be paid to.', false),
('HX017', 'LOCK', 'Busy just now; try again.', true),
('HX018', 'CODE-WRONG', 'The code is not correct.', false),
('HX018', 'CODE-LOCKED', 'Too many wrong codes; wait before the next try.', false),
('HX019', 'EDIT', 'This field cannot be edited in the task''s present state.', false),
('HX021', 'LOCATION', 'The location was refused.', false),
('HX021', 'ARRIVAL', 'Your position says that you are not at the place.', false),
('HX022', 'UPLOAD', 'The photo was refused.', false),
('HX501', 'TOKEN-MISSING', 'A bearer token is needed.', false),
('HX502', 'TOKEN-INVALID', 'The token is not valid.', false),
('HX503', 'PERMISSION', 'You are not allowed to do this.', false),
('HX503', 'OWN-CASE', 'Nobody decides a case of their own.', false),
('HX601', 'LIVE-REST', 'A rest from LIVE mode is not shortened.', false),
('HX901', 'LIVE-1', 'A LIVE task is broadcast only with a funded escrow.', false),
('HX902', 'LIVE-2', 'A LIVE task costs at least $15.00.', false),
('HX903', 'LIVE-3', 'You are not active in LIVE mode.', false),
('HX904', 'LIVE-TOGGLE', 'LIVE mode was switched on less than 5 minutes ago.', false),
('HX905', 'LIVE-BAN', 'You are banned from LIVE mode for now.', false),
('VALIDATION_ERROR', '', 'The request is not valid.', false),
('NOT_FOUND', '', 'There is no such thing here.', false),
('RATE_LIMITED', '', 'Too many requests; slow down.', true),
('TOO_LARGE', '', 'The message is too large.', false),
('IDEMPOTENCY_MISMATCH', '', 'This Idempotency-Key came with another request before.', false),
('IDEMPOTENCY_IN_FLIGHT', '', 'The same request is still being answered.', true),
('UNAVAILABLE', '', 'A part of the service is away; try again.', true),
('INTERNAL_ERROR', '', 'Something went wrong on our side.', false);

-- ── Durable events ─────────────────────────────────────────────────────────────────────────────
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

create function hx_event(user_id uuid, type text, data jsonb) returns jsonb
language sql immutable
return jsonb_build_object('user_id', user_id, 'type', type, 'data', data);

-- The last statement of a command: counters are locked in user order, so two commands that tell
-- the same two people never wait for each other in a circle.
create function append_events(events jsonb) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    stamp timestamptz := hx_clock();
    appended jsonb := '[]';
    part jsonb;
    reader record;
    last bigint;
begin
    for reader in
        select (e.value ->> 'user_id')::uuid as user_id, jsonb_agg(e.value order by e.ordinality) as own
        from jsonb_array_elements(events) with ordinality as e
        group by 1
        order by 1
    loop
        insert into user_counters as c (user_id, last_seq)
        values (reader.user_id, jsonb_array_length(reader.own))
        on conflict (user_id) do update set last_seq = c.last_seq + excluded.last_seq
        returning last_seq into last;

        with written as (
            insert into user_events (user_id, seq, at, type, data)
            select
                reader.user_id,
                last - jsonb_array_length(reader.own) + e.ordinality,
                stamp,
                e.value ->> 'type',
                e.value -> 'data'
            from jsonb_array_elements(reader.own) with ordinality as e
            returning user_events.*
        )
        select jsonb_agg(to_jsonb(w) order by w.seq) into part from written as w;
        appended := appended || part;
    end loop;
    return appended;
end;
$$;

-- The closed schema, the clock, the error catalogue and the lifecycle.

-- The schema is closed: nobody but the owner creates in it.
revoke create on schema public from public;
grant usage on schema public to hx_app, hx_ai, hx_readonly;
alter default privileges in schema public grant select on tables to hx_app, hx_ai, hx_readonly;
alter default privileges revoke execute on functions from public;
alter default privileges in schema public grant execute on functions to hx_app;

-- ── Clock ───────────────────────────────────────────────────────────────────────────────────────
-- Empty in production; one row in tests and in `hustlexp clock advance`. Only the owner writes it.
create table clock_offset (
    singleton boolean not null default true,
    amount interval not null,
    constraint clock_offset_pkey primary key (singleton),
    constraint clock_offset_one_row check (singleton)
);

-- ── Errors ──────────────────────────────────────────────────────────────────────────────────────
-- The identity of a refusal is code + invariant: SQLSTATE and CONSTRAINT of the raised error.
create table error_catalogue (
    code text not null,
    invariant text not null,
    title text not null,
    retryable boolean not null default false,
    constraint error_catalogue_pkey primary key (code, invariant)
);

insert into error_catalogue (code, invariant, title, retryable) values
('HX001', 'TASK-TERMINAL', 'The task has ended and can no longer change.', false),
('HX002', 'ESCROW-TERMINAL', 'The escrow has ended and can no longer change.', false),
('HX004', 'INV-4', 'An escrow''s amount never changes.', false),
('HX101', 'INV-1', 'XP is awarded only for released money.', false),
('HX102', 'XP-LEDGER', 'The XP ledger only grows.', false),
('HX201', 'INV-2', 'Money is released only for a completed task.', false),
('HX301', 'INV-3', 'A task completes only with an accepted proof.', false),
('HX401', 'BADGE', 'Badges are earned, and stay.', false),
('HX801', 'ADMIN-AUDIT', 'What an admin did stays on record.', false),
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

-- ── Lifecycle ───────────────────────────────────────────────────────────────────────────────────
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
('settlement', 'hold', 'PENDING', 'HELD', '{provider,system}', 'an admin is needed'),
('settlement', 'retry', 'HELD', 'PENDING', '{admin,system}', ''),
('settlement', 'book', 'HELD', 'DONE', '{provider}', 'every leg succeeded'),
('proposal', 'agree', 'OPEN', 'AGREED', '{poster,hustler}', 'the other side; a replacement escrow'),
('proposal', 'decline', 'OPEN', 'DECLINED', '{poster,hustler}', 'the other side, or its proposer'),
('proposal', 'lapse', 'OPEN', 'LAPSED', '{poster,hustler,timer}', 'the task moved on'),
('proposal', 'lapse', 'AGREED', 'LAPSED', '{poster,hustler,timer}', 'not paid in time'),
('proposal', 'apply', 'AGREED', 'APPLIED', '{provider}', 'the replacement is paid');

-- Held funds, the settlements that move them, the journal that must add up, and what is taken back.

create table escrows (
    id uuid not null default hx_id(),
    task_id uuid not null,
    amount integer not null,
    state text not null default 'PENDING',
    is_current boolean not null default true,
    -- the escrow that this one takes over from once it is paid: a changed price
    replaces uuid,
    refund_amount integer,
    release_amount integer,
    fee_amount integer,
    stripe_payment_intent_id text,
    stripe_transfer_id text,
    stripe_refund_id text,
    created_at timestamptz not null default hx_clock(),
    updated_at timestamptz not null default hx_clock(),
    funded_at timestamptz,
    ended_at timestamptz,
    constraint escrows_pkey primary key (id),
    constraint escrows_task foreign key (task_id) references tasks (id),
    constraint escrows_replaces foreign key (replaces) references escrows (id),
    constraint escrows_amount check (amount >= task_price_min_cents()),
    constraint escrows_state check (
        state in (
            'PENDING', 'FUNDED', 'LOCKED_DISPUTE', 'RELEASED', 'REFUNDED', 'REFUND_PARTIAL',
            'CANCELLED'
        )
    ),
    -- every movement carries the provider's name for it (product_spec §4.7)
    constraint escrows_paid_in check (
        state in ('PENDING', 'CANCELLED') or stripe_payment_intent_id is not null
    ),
    constraint escrow_partial_sum_check check (
        state <> 'REFUND_PARTIAL'
        or (
            refund_amount is not null and release_amount is not null
            and refund_amount > 0 and release_amount > 0
            and refund_amount + release_amount = amount
            and stripe_transfer_id is not null and stripe_refund_id is not null
        )
    ),
    constraint escrows_released check (
        state <> 'RELEASED'
        or (
            release_amount is not null and release_amount = amount
            and stripe_transfer_id is not null
        )
    ),
    constraint escrows_refunded check (
        state <> 'REFUNDED'
        or (refund_amount is not null and refund_amount = amount and stripe_refund_id is not null)
    ),
    constraint escrows_fee check (
        state not in ('RELEASED', 'REFUND_PARTIAL')
        or (fee_amount is not null and fee_amount = platform_fee_cents(release_amount))
    )
);
-- Exactly one current escrow per task.
create unique index one_current_escrow_per_task on escrows (task_id) where is_current;
-- All the money of a task, what was replaced and cancelled included.
create index escrows_by_task on escrows (task_id);
-- One replacement at a time waits for its payment.
create unique index one_pending_replacement_per_task on escrows (task_id)
where replaces is not null and state = 'PENDING';
-- An escrow is replaced once.
create unique index one_replacement_per_escrow on escrows (replaces)
where state not in ('PENDING', 'CANCELLED');
-- A payment, a transfer and a refund belong to one escrow.
create unique index escrows_payment on escrows (stripe_payment_intent_id)
where stripe_payment_intent_id is not null;
create index escrows_paid on escrows (ended_at) where state = 'RELEASED';
create index escrows_pending on escrows (created_at) where state = 'PENDING';

-- Money that is held: few rows of many, and where the admin queue starts to look.
create index escrows_held on escrows (task_id) where state in ('FUNDED', 'LOCKED_DISPUTE');

-- The money still to be moved, in one or two legs: TRANSFER to the hustler, REFUND to the poster. A
-- worker carries them out; the row that books the last leg ends the escrow, so RELEASED means that
-- the money moved.
create table settlements (
    id uuid not null default hx_id(),
    escrow_id uuid not null,
    kind text not null,
    -- the hustler's side, of which the platform keeps the fee
    release_amount integer not null default 0,
    fee_amount integer not null default 0,
    refund_amount integer not null default 0,
    -- the payment to give back, where it came after its escrow was cancelled
    payment text,
    -- what the provider calls each leg; known before it is done when the provider takes its time
    transfer_reference text,
    refund_reference text,
    transfer_done boolean not null default false,
    refund_done boolean not null default false,
    state text not null default 'PENDING',
    attempts integer not null default 0,
    last_error text,
    due_at timestamptz not null default hx_clock(),
    created_at timestamptz not null default hx_clock(),
    done_at timestamptz,
    -- until when a worker that asks the provider has it for itself; absent or past: nobody does
    claimed_until timestamptz,
    constraint settlements_pkey primary key (id),
    constraint settlements_escrow foreign key (escrow_id) references escrows (id),
    constraint settlements_one_per_escrow unique (escrow_id),
    constraint settlements_kind check (
        (kind = 'RELEASE' and release_amount > 0 and refund_amount = 0)
        or (kind = 'REFUND' and release_amount = 0 and refund_amount > 0)
        or (kind = 'SPLIT' and release_amount > 0 and refund_amount > 0)
    ),
    constraint settlements_fee check (fee_amount = platform_fee_cents(release_amount)),
    constraint settlements_state check (state in ('PENDING', 'HELD', 'DONE')),
    constraint settlements_done check (
        state <> 'DONE'
        or (
            (transfer_done or release_amount = 0) and (refund_done or refund_amount = 0)
            and done_at is not null
        )
    ),
    constraint settlements_transfer check (not transfer_done or transfer_reference is not null),
    constraint settlements_refund check (not refund_done or refund_reference is not null)
);
create index settlements_waiting on settlements (due_at) where state = 'PENDING';
create index settlements_open on settlements (created_at) where state <> 'DONE';
-- No transfer and no refund is booked for two settlements.
create unique index settlements_transfer_once on settlements (transfer_reference)
where transfer_reference is not null;
create unique index settlements_refund_once on settlements (refund_reference)
where refund_reference is not null;
-- A late payment goes back once.
create unique index settlements_payment_once on settlements (payment) where payment is not null;
create index settlements_late on settlements (created_at) where payment is not null;
create index settlements_by_age on settlements (created_at, id);

-- The journal: every cent that came in or went out, by escrow. Written by triggers, so that a change
-- from psql stands in it too; + is money held, − is money gone.
create table money_entries (
    id bigint generated always as identity,
    escrow_id uuid not null,
    kind text not null,
    amount integer not null,
    reference text,
    at timestamptz not null default hx_clock(),
    constraint money_entries_pkey primary key (id),
    constraint money_entries_escrow foreign key (escrow_id) references escrows (id),
    constraint money_entries_kind check (
        (kind = 'CHARGE' and amount > 0) or (kind in ('TRANSFER', 'FEE', 'REFUND') and amount < 0)
    ),
    constraint money_entries_once unique (escrow_id, kind)
);
create unique index money_entries_reference on money_entries (kind, reference);

-- Who is paid where. Empty with the simulated provider.
create table payout_accounts (
    user_id uuid not null,
    account_id text not null,
    payouts_enabled boolean not null default false,
    -- from when on the provider has not let us use it any more: deleted, or taken from us
    closed_at timestamptz,
    -- the provider's time of what we know: what is older changes nothing
    as_of timestamptz,
    updated_at timestamptz not null default hx_clock(),
    constraint payout_accounts_pkey primary key (user_id),
    constraint payout_accounts_user foreign key (user_id) references users (id),
    constraint payout_accounts_once unique (account_id),
    constraint payout_accounts_closed check (closed_at is null or not payouts_enabled)
);

-- ── Money that others take back ─────────────────────────────────────────────────────────────────
-- A poster's bank takes a payment back, or asks about it.
create table chargebacks (
    id text not null,
    escrow_id uuid not null,
    payment text not null,
    amount integer not null,
    reported_inquiry_at timestamptz,
    reported_closed_at timestamptz,
    reported_disputed_at timestamptz,
    reported_won_at timestamptz,
    reported_lost_at timestamptz,
    state text not null generated always as (
        chargeback_state(
            reported_inquiry_at, reported_closed_at, reported_disputed_at, reported_won_at, reported_lost_at
        )
    ) stored,
    opened_at timestamptz not null default hx_clock(),
    closed_at timestamptz,
    constraint chargebacks_pkey primary key (id),
    constraint chargebacks_escrow foreign key (escrow_id) references escrows (id),
    constraint chargebacks_amount check (amount > 0),
    constraint chargebacks_reported check (
        num_nonnulls(
            reported_inquiry_at, reported_closed_at, reported_disputed_at, reported_won_at, reported_lost_at
        ) > 0
    ),
    constraint chargebacks_closed check ((state in ('INQUIRY', 'OPEN')) = (closed_at is null))
);
create index chargebacks_by_escrow on chargebacks (escrow_id);
create index chargebacks_by_payment on chargebacks (payment);
create index chargebacks_by_age on chargebacks (opened_at, id);

-- A refund that somebody else than us made, by hand at the provider. Where the provider tells the sum
-- alone that a charge has given back, the row has the charge's name.
create table external_refunds (
    id text not null,
    escrow_id uuid not null,
    payment text not null,
    amount integer not null,
    is_sum boolean not null default false,
    state text not null default 'PENDING',
    opened_at timestamptz not null default hx_clock(),
    constraint external_refunds_pkey primary key (id),
    constraint external_refunds_escrow foreign key (escrow_id) references escrows (id),
    constraint external_refunds_amount check (amount > 0),
    constraint external_refunds_state check (state in ('PENDING', 'SUCCEEDED', 'FAILED')),
    constraint external_refunds_sum check (not is_sum or state = 'SUCCEEDED')
);
create index external_refunds_by_escrow on external_refunds (escrow_id);
create index external_refunds_by_payment on external_refunds (payment);

-- ── The provider's events ───────────────────────────────────────────────────────────────────────
-- Each event of the provider has its effect once, in the transaction that writes this row.
create table processed_stripe_events (
    event_id varchar(255) not null,
    event_type varchar(100) not null,
    processed_at timestamptz not null default hx_clock(),
    result jsonb not null,
    constraint processed_stripe_events_pkey primary key (event_id)
);
create index processed_stripe_events_at on processed_stripe_events (processed_at);
-- What was told of a payment before we knew it is looked up when we do.
create index processed_stripe_events_of_payment on processed_stripe_events ((result ->> 'payment'))
where result ->> 'result' = 'UNKNOWN';
create index processed_stripe_events_of_charge on processed_stripe_events ((result ->> 'charge'))
where result ->> 'charge' is not null;

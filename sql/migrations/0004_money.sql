-- Held funds, the settlements that move them, and the journal that must add up.

-- One fee: 15 % of what is released, floored to a cent (design §2, Money).
create function platform_fee_cents(released integer) returns integer
language sql immutable return (released::bigint * 15 / 100)::integer;

create table escrows (
    id uuid not null default gen_random_uuid(),
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
    constraint escrows_amount check (amount >= 500),
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

-- The money still to be moved, in one or two legs: TRANSFER to the hustler, REFUND to the poster. A
-- worker carries them out; the row that books the last leg ends the escrow, so RELEASED means that
-- the money moved.
create table settlements (
    id uuid not null default gen_random_uuid(),
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

-- HX801: the journal only grows.
create trigger money_entries_append_only before update or delete or truncate on money_entries
for each statement execute function append_only('HX801', 'AUDIT-5');

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

-- ── Money that others take back ────────────────────────────────────────────────────────────────
-- What a dispute at the provider is, from when each thing was last told of it by the events' own
-- times. The order in which they arrive does not matter: only `won` and a closed inquiry free the
-- money, and only until something later is told; an inquiry takes none.
create function chargeback_state(
    inquiry timestamptz, closed timestamptz, disputed timestamptz, won timestamptz, lost timestamptz
) returns text
language sql immutable
return case
    when coalesce(disputed, won, lost) is null then
        case when closed >= coalesce(inquiry, closed) then 'CLOSED' else 'INQUIRY' end
    when lost >= coalesce(greatest(won, closed), lost) then 'LOST'
    when greatest(won, closed) >= coalesce(disputed, greatest(won, closed)) then 'WON'
    else 'OPEN'
end;

-- A poster's bank takes a payment back, or asks about it.
create table chargebacks (
    id text not null,
    escrow_id uuid not null,
    payment text not null,
    amount integer not null,
    told_inquiry_at timestamptz,
    told_closed_at timestamptz,
    told_disputed_at timestamptz,
    told_won_at timestamptz,
    told_lost_at timestamptz,
    state text not null generated always as (
        chargeback_state(
            told_inquiry_at, told_closed_at, told_disputed_at, told_won_at, told_lost_at
        )
    ) stored,
    opened_at timestamptz not null default hx_clock(),
    closed_at timestamptz,
    constraint chargebacks_pkey primary key (id),
    constraint chargebacks_escrow foreign key (escrow_id) references escrows (id),
    constraint chargebacks_amount check (amount > 0),
    constraint chargebacks_told check (
        num_nonnulls(
            told_inquiry_at, told_closed_at, told_disputed_at, told_won_at, told_lost_at
        ) > 0
    ),
    constraint chargebacks_closed check ((state in ('INQUIRY', 'OPEN')) = (closed_at is null))
);
create index chargebacks_by_escrow on chargebacks (escrow_id);
create index chargebacks_by_payment on chargebacks (payment);

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

-- Whether a payment is an escrow's own, or a late one of it that is on its way back.
create function pays_escrow(p_payment text, p_escrow uuid) returns boolean
language sql stable
return exists (
    select from escrows as e
    left join settlements as s on s.escrow_id = e.id
    where e.id = p_escrow and p_payment in (e.stripe_payment_intent_id, s.payment)
);

-- HX010: a chargeback is of its escrow's own payment, a late one included. What was told of it stays
-- told, and its amount is that of the dispute: an inquiry's may be another, and in doubt it is less.
create function chargeback_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' and not pays_escrow(new.payment, new.escrow_id)
        or tg_op = 'UPDATE' and (
        (old.id, old.escrow_id, old.payment, old.opened_at)
        is distinct from (new.id, new.escrow_id, new.payment, new.opened_at)
        or old.state not in ('INQUIRY', 'CLOSED') and new.amount > old.amount
        or coalesce(new.told_inquiry_at, '-infinity') < old.told_inquiry_at
        or coalesce(new.told_closed_at, '-infinity') < old.told_closed_at
        or coalesce(new.told_disputed_at, '-infinity') < old.told_disputed_at
        or coalesce(new.told_won_at, '-infinity') < old.told_won_at
        or coalesce(new.told_lost_at, '-infinity') < old.told_lost_at
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    return new;
end;
$$;

create trigger chargeback_guard before insert or update on chargebacks
for each row execute function chargeback_guard();

-- HX010: the same for a refund that was made by hand: PENDING, SUCCEEDED, FAILED, never back. A sum
-- only grows.
create function external_refund_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' and not pays_escrow(new.payment, new.escrow_id)
        or tg_op = 'UPDATE' and (
        (old.id, old.escrow_id, old.payment, old.is_sum, old.opened_at)
        is distinct from (new.id, new.escrow_id, new.payment, new.is_sum, new.opened_at)
        or new.amount < old.amount
        or new.amount > old.amount and not old.is_sum
        or (old.state, new.state) in (
            ('SUCCEEDED', 'PENDING'), ('FAILED', 'PENDING'), ('FAILED', 'SUCCEEDED')
        )
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    return new;
end;
$$;

create trigger external_refund_guard before insert or update on external_refunds
for each row execute function external_refund_guard();

-- What others have taken out of a payment: whether it is still undecided how much, the cents that are
-- gone, the newest of the provider's names for it, and since when it is so. Null for nothing.
create function money_taken(
    p_payment text, out undecided boolean, out cents integer, out reference text,
    out since timestamptz
)
language sql stable
begin atomic
    with taken as (
        select
            c.id, c.amount, 'CHARGEBACK' as kind, c.opened_at,
            case c.state when 'OPEN' then 'PENDING' else 'SUCCEEDED' end as state
        from chargebacks as c
        where c.payment = p_payment and c.state in ('OPEN', 'LOST')
        union all
        select r.id, r.amount, case when r.is_sum then 'SUM' else 'REFUND' end, r.opened_at, r.state
        from external_refunds as r
        where r.payment = p_payment
    )

    select
        coalesce(bool_or(t.state = 'PENDING'), false),
        (
            coalesce(sum(t.amount) filter (where t.kind = 'CHARGEBACK' and t.state = 'SUCCEEDED'), 0)
            + greatest(
                sum(t.amount) filter (where t.kind = 'REFUND' and t.state = 'SUCCEEDED'),
                -- the sum may be told before the refunds that it consists of
                max(t.amount) filter (where t.kind = 'SUM') - coalesce(
                    sum(t.amount) filter (where t.kind = 'REFUND' and t.state = 'FAILED'), 0
                ),
                0
            )
        )::integer,
        (
            array_agg(t.id order by t.kind = 'SUM', t.opened_at desc, t.id)
            filter (where t.state = 'SUCCEEDED')
        )[1],
        max(t.opened_at) filter (where t.state <> 'FAILED')
    from taken as t;
end;

-- Whether a settlement has to wait, because what it would move was taken, or may be: all but a refund
-- that the taking itself was.
create function settlement_uncovered(s settlements) returns boolean
language plpgsql stable
as $$
declare
    e escrows;
    taken record;
begin
    select * into e from escrows where id = s.escrow_id;
    select * into taken from money_taken(coalesce(s.payment, e.stripe_payment_intent_id));
    return taken.undecided or taken.cents > 0 and not (
        s.refund_done
        and least(taken.cents, e.amount) <= s.refund_amount
        and exists (
            select from chargebacks as c where c.id = s.refund_reference
            union all
            select from external_refunds as r where r.id = s.refund_reference
        )
    );
end;
$$;

-- Whether an operator has let a settlement go on, knowing what was taken.
create function settlement_forced(s settlements) returns boolean
language plpgsql stable
as $$
begin
    return exists (
        select from admin_actions as a
        inner join escrows as e on e.id = s.escrow_id
        where a.target_type = 'settlement' and a.target_id = s.id::text
            and a.action_type = 'RETRY_SETTLEMENT'
            and a.created_at >= (
                select taken.since
                from money_taken(coalesce(s.payment, e.stripe_payment_intent_id)) as taken
            )
    );
end;
$$;

-- HX010 COVER: at commit nothing moves, and nobody works, for money that was taken back or may be: the
-- settlement is held, unless an operator has let it go on; the task has ended or is disputed.
create function taken_money_rests() returns trigger
language plpgsql
as $$
declare
    e escrows;
    s settlements;
    taken record;
begin
    if tg_table_name = 'escrows' then
        select * into e from escrows where id = new.id;
    else
        select * into e from escrows where id = new.escrow_id;
    end if;
    select * into s from settlements where escrow_id = e.id;
    if s.state = 'PENDING' and settlement_uncovered(s) and not settlement_forced(s) then
        perform hx_refuse('HX010', 'COVER');
    end if;
    if e.state = 'FUNDED' and e.is_current and s.id is null and exists (
        select from tasks as t
        where t.id = e.task_id and t.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
    ) then
        select * into taken from money_taken(e.stripe_payment_intent_id);
        if taken.undecided or taken.cents > 0 then
            perform hx_refuse('HX010', 'COVER');
        end if;
    end if;
    return null;
end;
$$;

create constraint trigger settlement_rests after insert or update of state on settlements
deferrable initially deferred for each row when (new.state = 'PENDING')
execute function taken_money_rests();
create constraint trigger escrow_rests after update of state on escrows
deferrable initially deferred for each row when (new.state = 'FUNDED')
execute function taken_money_rests();
create constraint trigger chargeback_rests after insert or update on chargebacks
deferrable initially deferred for each row execute function taken_money_rests();
create constraint trigger external_refund_rests after insert or update on external_refunds
deferrable initially deferred for each row execute function taken_money_rests();

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

-- HX801: what was processed stays so.
create trigger processed_stripe_events_append_only
before update or delete or truncate on processed_stripe_events
for each statement execute function append_only('HX801', 'AUDIT-5');

-- The other side's, or one's own, wish for another price, before the work has begun.
create table price_proposals (
    id uuid not null default gen_random_uuid(),
    task_id uuid not null,
    proposer_id uuid not null,
    price integer not null,
    state text not null default 'OPEN',
    escrow_id uuid,
    created_at timestamptz not null default hx_clock(),
    updated_at timestamptz not null default hx_clock(),
    constraint price_proposals_pkey primary key (id),
    constraint price_proposals_task foreign key (task_id) references tasks (id),
    constraint price_proposals_escrow foreign key (escrow_id) references escrows (id),
    constraint price_proposals_price check (price >= 500),
    constraint price_proposals_state check (
        state in ('OPEN', 'AGREED', 'DECLINED', 'LAPSED', 'APPLIED')
    ),
    constraint price_proposals_agreed check (
        (state in ('AGREED', 'APPLIED')) <= (escrow_id is not null)
    )
);
-- One price at a time is on the table.
create unique index one_open_proposal_per_task on price_proposals (task_id)
where state in ('OPEN', 'AGREED');
create index price_proposals_by_task on price_proposals (task_id, created_at);

-- ── Judges ─────────────────────────────────────────────────────────────────────────────────────
-- HX004 (INV-4): the amount never changes after creation.
create function escrow_amount_immutable() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse('HX004', 'INV-4');
    return null;
end;
$$;

create trigger escrow_amount_immutable before update of amount on escrows
for each row when (old.amount is distinct from new.amount)
execute function escrow_amount_immutable();

-- HX201 (INV-2): RELEASED needs a COMPLETED task.
create function escrow_released_requires_completed_task() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'UPDATE' and old.state in ('RELEASED', 'REFUNDED', 'REFUND_PARTIAL', 'CANCELLED') then
        return new;  -- it has ended: HX002 answers
    end if;
    if not exists (select from tasks as t where t.id = new.task_id and t.state = 'COMPLETED') then
        perform hx_refuse('HX201', 'INV-2');
    end if;
    return new;
end;
$$;

create trigger escrow_released_requires_completed_task before insert or update of state on escrows
for each row when (new.state in ('RELEASED', 'REFUND_PARTIAL'))
execute function escrow_released_requires_completed_task();

-- HX002: an escrow that has ended is frozen (product_spec §4.4).
create function escrow_terminal_guard() returns trigger
language plpgsql
as $$
declare
    before escrows := old;
begin
    before.updated_at := new.updated_at;
    if before is distinct from new then
        perform hx_refuse('HX002', 'ESCROW-TERMINAL');
    end if;
    return new;
end;
$$;

create trigger escrow_terminal_guard before update on escrows
for each row when (old.state in ('RELEASED', 'REFUNDED', 'REFUND_PARTIAL', 'CANCELLED'))
execute function escrow_terminal_guard();

-- What an escrow's state may become, now: the dispute's outcome, the task's end and a settlement that
-- is under way decide beside the lifecycle.
create function escrow_may_become(e escrows, p_state text) returns boolean
language plpgsql
as $$
declare
    ruling text;
    task_state text;
begin
    if not lifecycle_allows('escrow', e.state, p_state) then
        return false;
    end if;
    if exists (select from settlements as s where s.escrow_id = e.id and s.state <> 'DONE') then
        return false;  -- the money has not moved yet
    end if;
    select t.state into task_state from tasks as t where t.id = e.task_id;
    select d.outcome into ruling from disputes as d
    where d.task_id = e.task_id and d.state = 'RESOLVED';
    return case
        when p_state = 'FUNDED' then task_state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
        when p_state = 'LOCKED_DISPUTE' then exists (
            select from disputes as d
            where d.task_id = e.task_id and d.escrow_id = e.id and d.state <> 'RESOLVED'
        )
        when e.state = 'LOCKED_DISPUTE' then ruling is not distinct from (
            case p_state
                when 'RELEASED' then 'HUSTLER' when 'REFUNDED' then 'POSTER' else 'SPLIT'
            end
        )
        when p_state = 'REFUNDED'
            then task_state in ('CANCELLED', 'EXPIRED') or (not e.is_current and exists (
                select from escrows as heir
                where heir.replaces = e.id and heir.state not in ('PENDING', 'CANCELLED')
            ))
        when p_state = 'RELEASED' then e.is_current
        else true
    end;
end;
$$;

-- An escrow ends with the figures and references of its settlement, which is DONE (so RELEASED means
-- that the money moved), and of a dispute with the shares that were decided.
create function escrow_ends_as_settled(e escrows) returns boolean
language plpgsql
as $$
begin
    return exists (
        select from settlements as s
        where s.escrow_id = e.id and s.state = 'DONE' and (
            coalesce(e.release_amount, 0), coalesce(e.fee_amount, 0),
            coalesce(e.refund_amount, 0), e.stripe_transfer_id, e.stripe_refund_id
        ) is not distinct from (
            s.release_amount, s.fee_amount, s.refund_amount, s.transfer_reference,
            s.refund_reference
        )
    ) and not exists (
        select from disputes as d
        where d.escrow_id = e.id and (d.release_amount, d.refund_amount)
            is distinct from (coalesce(e.release_amount, 0), coalesce(e.refund_amount, 0))
    );
end;
$$;

-- HX010: the steps of the lifecycle; a birth as PENDING for the price of a task that has not ended, or
-- as a replacement of the task's held escrow; the flag moves only to a paid replacement; an escrow
-- changes its task only with the successor of a cancelled one (succeed_task), which is the same
-- poster's and costs what it holds; a payment once named stays, and is no other escrow's.
create function escrow_transition_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> 'PENDING'
            or new.is_current <> (new.replaces is null)
            or new.replaces is null and new.amount is distinct from (
                select t.price from tasks as t
                where t.id = new.task_id and t.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
            )
            or new.replaces is not null and not exists (
                select from escrows as e
                where e.id = new.replaces and e.task_id = new.task_id
                    and e.is_current and e.state = 'FUNDED'
            )
        then
            perform hx_refuse('HX010', 'ESCROW-TRANSITION');
        end if;
        return new;
    end if;
    if (new.id, new.replaces, new.created_at) is distinct from (old.id, old.replaces, old.created_at)
        or old.stripe_payment_intent_id is distinct from new.stripe_payment_intent_id
        and (
            old.stripe_payment_intent_id is not null or old.state <> 'PENDING'
            or exists (
                select from settlements as s where s.payment = new.stripe_payment_intent_id
            )
        )
    then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    if new.state is distinct from old.state and (
        not escrow_may_become(old, new.state)
        or new.state in ('RELEASED', 'REFUNDED', 'REFUND_PARTIAL') and not escrow_ends_as_settled(new)
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    if old.is_current and not new.is_current and new.state <> 'CANCELLED' and not (
        old.state = 'FUNDED' and new.state = 'FUNDED' and exists (
            select from escrows as heir where heir.replaces = old.id and heir.state = 'FUNDED'
        )
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    if new.is_current and not old.is_current and not (
        old.state = 'FUNDED' and new.state = 'FUNDED' and exists (
            select from escrows as gone where gone.id = new.replaces and not gone.is_current
        )
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    if new.task_id is distinct from old.task_id and not (
        old.state = 'FUNDED' and new.state = 'FUNDED' and old.is_current
        and not exists (select from settlements as s where s.escrow_id = old.id)
        and exists (
            select from tasks as heir
            join tasks as gone on gone.id = heir.predecessor_id
            where heir.id = new.task_id and gone.id = old.task_id and gone.state = 'CANCELLED'
                and heir.poster_id = gone.poster_id and heir.price = old.amount
        )
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    return new;
end;
$$;

create trigger escrow_transition_guard before insert or update on escrows
for each row execute function escrow_transition_guard();

-- A settlement moves exactly its escrow's money, to the side that the task's end or the dispute
-- decided. Only its progress changes, and a leg that is done stays done.
create function settlement_guard() returns trigger
language plpgsql
as $$
declare
    e escrows;
    d record;
    task_state text;
begin
    if tg_op = 'UPDATE' then
        if old.state = 'DONE'
            or (
                old.id, old.escrow_id, old.kind, old.release_amount, old.fee_amount,
                old.refund_amount, old.payment
            ) is distinct from (
                new.id, new.escrow_id, new.kind, new.release_amount, new.fee_amount,
                new.refund_amount, new.payment
            )
            or (old.transfer_done and (
                not new.transfer_done or new.transfer_reference <> old.transfer_reference
            ))
            or (old.refund_done and (
                not new.refund_done or new.refund_reference <> old.refund_reference
            ))
            or (
                old.state <> new.state
                and not lifecycle_allows('settlement', old.state, new.state)
            )
        then
            perform hx_refuse('HX010', 'ESCROW-TRANSITION');
        end if;
        return new;
    end if;
    select * into e from escrows where id = new.escrow_id;
    select t.state into task_state from tasks as t where t.id = e.task_id;
    select * into d from disputes where task_id = e.task_id and escrow_id = e.id;
    if new.kind <> 'REFUND' and task_state is distinct from 'COMPLETED' then
        perform hx_refuse('HX201', 'INV-2');
    end if;
    if new.state <> 'PENDING'
        or new.transfer_reference is not null or new.refund_reference is not null
        or new.release_amount + new.refund_amount is distinct from e.amount
        or not (case
            when new.payment is not null then e.state = 'CANCELLED' and new.kind = 'REFUND'
                and new.payment = coalesce(e.stripe_payment_intent_id, new.payment)
                and not exists (
                    select from escrows as other
                    where other.stripe_payment_intent_id = new.payment and other.id <> e.id
                )
            when e.state = 'FUNDED' and not e.is_current then new.kind = 'REFUND'
            when e.state = 'FUNDED' then new.kind = (
                case task_state
                    when 'COMPLETED' then 'RELEASE' when 'CANCELLED' then 'REFUND'
                    when 'EXPIRED' then 'REFUND' else ''
                end
            )
            when e.state = 'LOCKED_DISPUTE' and d.state = 'RESOLVED' then
                new.release_amount = d.release_amount and new.refund_amount = d.refund_amount
            else false
        end)
    then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    return new;
end;
$$;

create trigger settlement_guard before insert or update on settlements
for each row execute function settlement_guard();

-- The journal follows the escrow's state.
create function escrow_journal() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    insert into money_entries (escrow_id, kind, amount, reference)
    select new.id, e.kind, e.amount, e.reference
    from (
        values
        ('CHARGE', case when old.state = 'PENDING' then new.amount end, new.stripe_payment_intent_id),
        (
            'TRANSFER',
            case when new.state in ('RELEASED', 'REFUND_PARTIAL') then new.fee_amount - new.release_amount end,
            new.stripe_transfer_id
        ),
        (
            'FEE',
            case when new.state in ('RELEASED', 'REFUND_PARTIAL') then -new.fee_amount end,
            new.stripe_transfer_id
        ),
        (
            'REFUND',
            case when new.state in ('REFUNDED', 'REFUND_PARTIAL') then -new.refund_amount end,
            new.stripe_refund_id
        )
    ) as e (kind, amount, reference)
    where e.amount <> 0;
    return null;
end;
$$;

create trigger escrow_journal after update of state on escrows
for each row when (old.state <> new.state and new.state not in ('CANCELLED', 'LOCKED_DISPUTE'))
execute function escrow_journal();

-- A late payment came in although its escrow was cancelled, and goes out again.
create function late_payment_journal() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        insert into money_entries (escrow_id, kind, amount, reference)
        values (new.escrow_id, 'CHARGE', new.refund_amount, new.payment);
    elsif old.state <> 'DONE' and new.state = 'DONE' then
        insert into money_entries (escrow_id, kind, amount, reference)
        values (new.escrow_id, 'REFUND', -new.refund_amount, new.refund_reference);
    end if;
    return null;
end;
$$;

create trigger late_payment_journal after insert or update of state on settlements
for each row when (new.payment is not null)
execute function late_payment_journal();

-- HX010 CONSERVATION: at commit the journal of an escrow holds its amount while the money is held,
-- and nothing before and after: held = refunded + released, released = net + fee. What is held is the
-- price of its task, or was replaced, and no settlement has moved it.
create function escrow_adds_up() returns trigger
language plpgsql
as $$
declare
    e escrows;
    held integer;
begin
    if tg_table_name = 'escrows' then
        select * into e from escrows where id = new.id;
    else
        select * into e from escrows where id = new.escrow_id;
    end if;
    select coalesce(sum(m.amount), 0) into held from money_entries as m where m.escrow_id = e.id;
    if held <> (
        case
            when e.state in ('FUNDED', 'LOCKED_DISPUTE') then e.amount
            when e.state = 'CANCELLED' and exists (
                select from settlements as s where s.escrow_id = e.id and s.state <> 'DONE'
            ) then e.amount
            else 0
        end
    ) then
        perform hx_refuse('HX010', 'CONSERVATION');
    end if;
    if e.state in ('FUNDED', 'LOCKED_DISPUTE') and (
        exists (select from settlements as s where s.escrow_id = e.id and s.state = 'DONE')
        or not exists (
            select from tasks as t
            where t.id = e.task_id and t.price = e.amount and e.is_current
            union all
            select from escrows as heir
            where heir.replaces = e.id and heir.state not in ('PENDING', 'CANCELLED')
                and not e.is_current
        )
    ) then
        perform hx_refuse('HX010', 'CONSERVATION');
    end if;
    return null;
end;
$$;

create constraint trigger escrow_adds_up after insert or update on escrows
deferrable initially deferred for each row execute function escrow_adds_up();
create constraint trigger settlement_adds_up after insert or update on settlements
deferrable initially deferred for each row execute function escrow_adds_up();
create constraint trigger journal_adds_up after insert on money_entries
deferrable initially deferred for each row execute function escrow_adds_up();

-- HX010 CONSERVATION: at commit a running task costs what its current escrow holds.
create function price_is_held() returns trigger
language plpgsql
as $$
begin
    if exists (
        select from tasks as t
        inner join escrows as e on e.task_id = t.id and e.is_current
        where t.id = new.id and e.amount <> t.price and e.state <> 'CANCELLED'
    ) then
        perform hx_refuse('HX010', 'CONSERVATION');
    end if;
    return null;
end;
$$;

create constraint trigger price_is_held after update of price on tasks
deferrable initially deferred for each row execute function price_is_held();

-- HX019: what a hustler accepts and the escrow pays is fixed once the money is held (design §2).
-- Title and description stay editable until the work begins, but not while cards show them; the
-- price follows its escrow, and the poster never changes.
create function task_terms_guard() returns trigger
language plpgsql
as $$
declare
    e escrows;
begin
    if old.poster_id <> new.poster_id then
        perform hx_refuse('HX019', 'EDIT');
    end if;
    select * into e from escrows where task_id = old.id and is_current and state <> 'CANCELLED';
    if old.state in ('OPEN', 'MATCHING') and (e.id is null or e.state = 'PENDING') then
        return new;
    end if;
    if old.price <> new.price and not (
        e.state = 'FUNDED' and e.amount = new.price and old.state in ('MATCHING', 'ACCEPTED')
    ) then
        perform hx_refuse('HX019', 'EDIT');
    end if;
    if (old.title, old.description) is distinct from (new.title, new.description)
        and old.state not in ('OPEN', 'ACCEPTED')
    then
        perform hx_refuse('HX019', 'EDIT');
    end if;
    if (
        old.category, old.deadline, old.location_lat, old.location_lng, old.location_address,
        old.place_lat, old.place_lng, old.requires_proof, old.min_photos, old.estimated_minutes,
        old.required_trade, old.required_trust_tier, old.insurance_required,
        old.background_check_required
    ) is distinct from (
        new.category, new.deadline, new.location_lat, new.location_lng,
        new.location_address, new.place_lat, new.place_lng, new.requires_proof,
        new.min_photos, new.estimated_minutes, new.required_trade,
        new.required_trust_tier, new.insurance_required, new.background_check_required
    ) then
        perform hx_refuse('HX019', 'EDIT');
    end if;
    return new;
end;
$$;

create trigger task_terms_guard before update on tasks
for each row when (old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED'))
execute function task_terms_guard();

-- HX010: a proposal moves along the lifecycle and stays what it proposed; AGREED names the
-- replacement that waits for its payment, APPLIED the same one, paid.
create function proposal_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> 'OPEN' or new.escrow_id is not null or not exists (
            select from tasks as t
            where t.id = new.task_id and t.state = 'ACCEPTED' and t.started_at is null
                and new.proposer_id in (t.poster_id, t.assigned_hustler_id)
        ) then
            perform hx_refuse('HX010', 'PROPOSAL');
        end if;
        return new;
    end if;
    if (old.id, old.task_id, old.proposer_id, old.price)
        is distinct from (new.id, new.task_id, new.proposer_id, new.price)
        or not lifecycle_allows('proposal', old.state, new.state)
        or old.state = 'AGREED' and old.escrow_id <> new.escrow_id
        or new.state in ('AGREED', 'APPLIED') and not exists (
            select from escrows as e
            where e.id = new.escrow_id and e.task_id = new.task_id and e.amount = new.price
                and e.replaces is not null
                and e.state = case new.state when 'AGREED' then 'PENDING' else 'FUNDED' end
        )
    then
        perform hx_refuse('HX010', 'PROPOSAL');
    end if;
    return new;
end;
$$;

create trigger proposal_guard before insert or update on price_proposals
for each row execute function proposal_guard();

-- The current escrow of a task, locked FOR SHARE: it cannot leave FUNDED before we commit. Money that
-- others have taken back, or may have, is not there.
create function escrow_is_funded(p_task uuid) returns boolean
language plpgsql
as $$
declare
    e escrows;
begin
    select * into e from escrows
    where task_id = p_task and is_current
    for share;
    if e.state is distinct from 'FUNDED' then
        return false;
    end if;
    return not exists (
        select from chargebacks as c
        where c.payment = e.stripe_payment_intent_id and c.state in ('OPEN', 'LOST')
        union all
        select from external_refunds as r
        where r.payment = e.stripe_payment_intent_id and r.state <> 'FAILED'
    );
end;
$$;

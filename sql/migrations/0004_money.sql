-- Held funds, and the settlements that move them.

create table escrows (
    id uuid not null default gen_random_uuid(),
    task_id uuid not null,
    amount integer not null,
    state text not null default 'PENDING',
    is_current boolean not null default true,
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
    constraint escrows_amount check (amount >= 500),
    constraint escrows_state check (
        state in (
            'PENDING', 'FUNDED', 'LOCKED_DISPUTE', 'RELEASED', 'REFUNDED', 'REFUND_PARTIAL',
            'CANCELLED'
        )
    ),
    constraint escrow_partial_sum_check check (
        state <> 'REFUND_PARTIAL'
        or (
            refund_amount is not null and release_amount is not null
            and refund_amount + release_amount = amount
        )
    ),
    constraint escrows_released check (
        state <> 'RELEASED' or (release_amount is not null and release_amount = amount)
    ),
    constraint escrows_refunded check (
        state <> 'REFUNDED' or (refund_amount is not null and refund_amount = amount)
    )
);
-- Exactly one current escrow per task.
create unique index one_current_escrow_per_task on escrows (task_id) where is_current;

-- The money still to be moved. A worker carries it out; the row that books the provider's answer
-- ends the escrow, so RELEASED means the money moved.
create table settlements (
    id uuid not null default gen_random_uuid(),
    escrow_id uuid not null,
    kind text not null,
    -- the payment to give back, where it came after its escrow was cancelled
    payment text,
    amount integer not null,
    fee_amount integer not null default 0,
    state text not null default 'PENDING',
    attempts integer not null default 0,
    last_error text,
    due_at timestamptz not null default hx_clock(),
    created_at timestamptz not null default hx_clock(),
    done_at timestamptz,
    constraint settlements_pkey primary key (id),
    constraint settlements_escrow foreign key (escrow_id) references escrows (id),
    constraint settlements_one_per_escrow unique (escrow_id),
    constraint settlements_kind check (kind in ('RELEASE', 'REFUND')),
    constraint settlements_state check (state in ('PENDING', 'DONE')),
    constraint settlements_fee check (fee_amount between 0 and amount)
);
create index escrows_paid on escrows (ended_at) where state = 'RELEASED';
create index settlements_waiting on settlements (due_at) where state = 'PENDING';

-- One fee: 15 % of what is released, floored to a cent (design §2, Money).
create function platform_fee_cents(released integer) returns integer
language sql immutable return (released::bigint * 15 / 100)::integer;

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
    if not exists (select from tasks as t where t.id = new.task_id and t.state = 'COMPLETED') then
        perform hx_refuse('HX201', 'INV-2');
    end if;
    return new;
end;
$$;

create trigger escrow_released_requires_completed_task before insert or update of state on escrows
for each row when (new.state = 'RELEASED')
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

-- HX010: PENDING → FUNDED or CANCELLED; FUNDED → RELEASED, or REFUNDED once the task has ended.
-- An escrow changes its task only with the successor of a cancelled one (succeed_task).
create function escrow_transition_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> 'PENDING' then
            perform hx_refuse('HX010', 'ESCROW-TRANSITION');
        end if;
        return new;
    end if;
    if new.state is distinct from old.state and (old.state, new.state) not in (
        ('PENDING', 'FUNDED'), ('PENDING', 'CANCELLED'),
        ('FUNDED', 'RELEASED'), ('FUNDED', 'REFUNDED')
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    if new.state = 'REFUNDED' and old.state = 'FUNDED' and not exists (
        select from tasks as t where t.id = new.task_id and t.state in ('CANCELLED', 'EXPIRED')
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    if new.is_current is distinct from old.is_current then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    if new.task_id is distinct from old.task_id and not (
        old.state = 'FUNDED' and new.state = 'FUNDED' and exists (
            select from tasks as heir
            join tasks as gone on gone.id = heir.predecessor_id
            where heir.id = new.task_id and gone.id = old.task_id and gone.state = 'CANCELLED'
        )
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    return new;
end;
$$;

create trigger escrow_transition_guard before insert or update on escrows
for each row execute function escrow_transition_guard();

-- A settlement moves exactly its escrow's money, to the side that its task's end decided: a release
-- for a COMPLETED task (INV-2), a refund for one that ended without work. Only its progress changes.
create function settlement_guard() returns trigger
language plpgsql
as $$
declare
    e escrows;
    task_state text;
begin
    if tg_op = 'UPDATE' then
        if old.state = 'DONE'
            or (old.id, old.escrow_id, old.kind, old.payment, old.amount, old.fee_amount)
            is distinct from
            (new.id, new.escrow_id, new.kind, new.payment, new.amount, new.fee_amount)
        then
            perform hx_refuse('HX010', 'ESCROW-TRANSITION');
        end if;
        return new;
    end if;
    select * into e from escrows where id = new.escrow_id;
    select t.state into task_state from tasks as t where t.id = e.task_id;
    if new.kind = 'RELEASE' and task_state is distinct from 'COMPLETED' then
        perform hx_refuse('HX201', 'INV-2');
    end if;
    if new.state <> 'PENDING' or new.amount is distinct from e.amount
        or new.fee_amount <> (case new.kind when 'RELEASE' then platform_fee_cents(e.amount) else 0 end)
        or (new.kind = 'REFUND' and task_state not in ('CANCELLED', 'EXPIRED'))
    then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    return new;
end;
$$;

create trigger settlement_guard before insert or update on settlements
for each row execute function settlement_guard();

-- HX019: what a hustler accepts and the escrow pays is fixed once the money is held (design §2).
-- Title and description stay editable; a price changes only with its escrow.
create function task_terms_guard() returns trigger
language plpgsql
as $$
begin
    if old.state not in ('OPEN', 'MATCHING') or exists (
        select from escrows as e
        where e.task_id = old.id and e.is_current and e.state <> 'PENDING'
    ) then
        perform hx_refuse('HX019', 'EDIT');
    end if;
    return new;
end;
$$;

create trigger task_terms_guard before update on tasks
for each row when (
    (
        old.price, old.category, old.deadline, old.location_lat, old.location_lng,
        old.place_lat, old.place_lng, old.requires_proof, old.min_photos, old.required_trade,
        old.required_trust_tier, old.insurance_required, old.background_check_required,
        old.poster_id
    )
    is distinct from
    (
        new.price, new.category, new.deadline, new.location_lat, new.location_lng,
        new.place_lat, new.place_lng, new.requires_proof, new.min_photos, new.required_trade,
        new.required_trust_tier, new.insurance_required, new.background_check_required,
        new.poster_id
    )
    and old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
)
execute function task_terms_guard();

-- The current escrow of a task, locked FOR SHARE: it cannot leave FUNDED before we commit.
create function escrow_is_funded(p_task uuid) returns boolean
language plpgsql
as $$
declare
    found_state text;
begin
    select e.state into found_state from escrows as e
    where e.task_id = p_task and e.is_current
    for share;
    return found_state is not distinct from 'FUNDED';
end;
$$;

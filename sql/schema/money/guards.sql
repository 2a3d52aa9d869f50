-- Guards of an escrow: amount, steps, ends, and that the price is held.

-- HX801: what was processed stays so.
create or replace trigger processed_stripe_events_append_only
before update or delete or truncate on processed_stripe_events
for each statement execute function append_only('HX801', 'AUDIT-5');
-- HX004 (INV-4): the amount never changes after creation.
create or replace function escrow_amount_immutable() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse('HX004', 'INV-4');
    return null;
end;
$$;

create or replace trigger escrow_amount_immutable before update of amount on escrows
for each row when (old.amount is distinct from new.amount)
execute function escrow_amount_immutable();

-- HX201 (INV-2): RELEASED needs a COMPLETED task.
create or replace function escrow_released_requires_completed_task() returns trigger
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

create or replace trigger escrow_released_requires_completed_task before insert or update of state on escrows
for each row when (new.state in ('RELEASED', 'REFUND_PARTIAL'))
execute function escrow_released_requires_completed_task();

-- HX002: an escrow that has ended is frozen (product_spec §4.4).
create or replace function escrow_terminal_guard() returns trigger
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

create or replace trigger escrow_terminal_guard before update on escrows
for each row when (old.state in ('RELEASED', 'REFUNDED', 'REFUND_PARTIAL', 'CANCELLED'))
execute function escrow_terminal_guard();

-- What an escrow's state may become, now: the dispute's outcome, the task's end and a settlement that
-- is under way decide beside the lifecycle.
create or replace function escrow_may_become(e escrows, p_state text) returns boolean
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
                select from escrows as successor
                where successor.replaces = e.id and successor.state not in ('PENDING', 'CANCELLED')
            ))
        when p_state = 'RELEASED' then e.is_current
        else true
    end;
end;
$$;

-- An escrow ends with the figures and references of its settlement, which is DONE (so RELEASED means
-- that the money moved), and of a dispute with the shares that were decided.
create or replace function escrow_ends_as_settled(e escrows) returns boolean
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
create or replace function escrow_transition_guard() returns trigger
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
            select from escrows as successor where successor.replaces = old.id and successor.state = 'FUNDED'
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
            select from tasks as successor
            join tasks as gone on gone.id = successor.predecessor_id
            where successor.id = new.task_id and gone.id = old.task_id and gone.state = 'CANCELLED'
                and successor.poster_id = gone.poster_id and successor.price = old.amount
        )
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    return new;
end;
$$;

create or replace trigger escrow_transition_guard before insert or update on escrows
for each row execute function escrow_transition_guard();

-- HX010 CONSERVATION: at commit a running task costs what its current escrow holds.
create or replace function price_is_held() returns trigger
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

drop trigger if exists price_is_held on tasks;
create constraint trigger price_is_held after update of price on tasks
deferrable initially deferred for each row execute function price_is_held();

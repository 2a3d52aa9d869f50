-- Guards of what others take back: such money rests.

-- HX010: a chargeback is of its escrow's own payment, a late one included. What was told of it stays
-- told, and its amount is that of the dispute: an inquiry's may be another, and in doubt it is less.
create or replace function chargeback_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' and not pays_escrow(new.payment, new.escrow_id)
        or tg_op = 'UPDATE' and (
        (old.id, old.escrow_id, old.payment, old.opened_at)
        is distinct from (new.id, new.escrow_id, new.payment, new.opened_at)
        or old.state not in ('INQUIRY', 'CLOSED') and new.amount > old.amount
        or coalesce(new.reported_inquiry_at, '-infinity') < old.reported_inquiry_at
        or coalesce(new.reported_closed_at, '-infinity') < old.reported_closed_at
        or coalesce(new.reported_disputed_at, '-infinity') < old.reported_disputed_at
        or coalesce(new.reported_won_at, '-infinity') < old.reported_won_at
        or coalesce(new.reported_lost_at, '-infinity') < old.reported_lost_at
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    return new;
end;
$$;

create or replace trigger chargeback_guard before insert or update on chargebacks
for each row execute function chargeback_guard();

-- HX010: the same for a refund that was made by hand: PENDING, SUCCEEDED, FAILED, never back. A sum
-- only grows.
create or replace function external_refund_guard() returns trigger
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

create or replace trigger external_refund_guard before insert or update on external_refunds
for each row execute function external_refund_guard();

-- Whether a settlement has to wait, because what it would move was taken, or may be: all but a refund
-- that the taking itself was.
create or replace function settlement_uncovered(s settlements) returns boolean
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

-- Whether an admin has let a settlement go on, knowing what was taken.
create or replace function settlement_forced(s settlements) returns boolean
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
-- settlement is held, unless an admin has let it go on; the task has ended or is disputed.
create or replace function taken_money_rests() returns trigger
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

drop trigger if exists settlement_rests on settlements;
create constraint trigger settlement_rests after insert or update of state on settlements
deferrable initially deferred for each row when (new.state = 'PENDING')
execute function taken_money_rests();
drop trigger if exists escrow_rests on escrows;
create constraint trigger escrow_rests after update of state on escrows
deferrable initially deferred for each row when (new.state = 'FUNDED')
execute function taken_money_rests();
drop trigger if exists chargeback_rests on chargebacks;
create constraint trigger chargeback_rests after insert or update on chargebacks
deferrable initially deferred for each row execute function taken_money_rests();
drop trigger if exists external_refund_rests on external_refunds;
create constraint trigger external_refund_rests after insert or update on external_refunds
deferrable initially deferred for each row execute function taken_money_rests();

-- Guards of a settlement.

-- A settlement moves exactly its escrow's money, to the side that the task's end or the dispute
-- decided. Only its progress changes, and a leg that is done stays done.
create or replace function settlement_guard() returns trigger
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

create or replace trigger settlement_guard before insert or update on settlements
for each row execute function settlement_guard();

-- The journal is written by triggers, only grows, and adds up.

-- HX801: the journal only grows.
create or replace trigger money_entries_append_only before update or delete or truncate on money_entries
for each statement execute function append_only('HX801', 'AUDIT-5');

-- The journal follows the escrow's state.
create or replace function escrow_journal() returns trigger
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

create or replace trigger escrow_journal after update of state on escrows
for each row when (old.state <> new.state and new.state not in ('CANCELLED', 'LOCKED_DISPUTE'))
execute function escrow_journal();

-- A late payment came in although its escrow was cancelled, and goes out again.
create or replace function late_payment_journal() returns trigger
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

create or replace trigger late_payment_journal after insert or update of state on settlements
for each row when (new.payment is not null)
execute function late_payment_journal();

-- HX010 CONSERVATION: at commit the journal of an escrow holds its amount while the money is held,
-- and nothing before and after: held = refunded + released, released = net + fee. What is held is the
-- price of its task, or was replaced, and no settlement has moved it.
create or replace function escrow_adds_up() returns trigger
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
            select from escrows as successor
            where successor.replaces = e.id and successor.state not in ('PENDING', 'CANCELLED')
                and not e.is_current
        )
    ) then
        perform hx_refuse('HX010', 'CONSERVATION');
    end if;
    return null;
end;
$$;

drop trigger if exists escrow_adds_up on escrows;
create constraint trigger escrow_adds_up after insert or update on escrows
deferrable initially deferred for each row execute function escrow_adds_up();
drop trigger if exists settlement_adds_up on settlements;
create constraint trigger settlement_adds_up after insert or update on settlements
deferrable initially deferred for each row execute function escrow_adds_up();
drop trigger if exists journal_adds_up on money_entries;
create constraint trigger journal_adds_up after insert on money_entries
deferrable initially deferred for each row execute function escrow_adds_up();

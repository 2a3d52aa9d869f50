-- What an admin does with money that does not move by itself: docs/admin.md.
-- Runs a held or delayed settlement again, now. What others took is never given back twice: while that
-- is undecided the refund is refused, and what is gone counts as the refund.
create or replace function retry_settlement(p_admin uuid, p_settlement uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(
        p_admin, 'RETRY_SETTLEMENT', 'settlement', p_settlement::text, p_reason
    );
    s settlements := hold_settlement_rows(p_settlement);
    taken record;
begin
    if s.state = 'DONE' then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    select m.* into taken
    from escrows as e
    cross join lateral money_taken(coalesce(s.payment, e.stripe_payment_intent_id)) as m
    where e.id = s.escrow_id;
    if s.refund_amount > 0 and not s.refund_done then
        if taken.undecided or taken.cents between 1 and s.refund_amount - 1 then
            -- the rest of what was taken is given back at the provider, and is known then
            perform hx_refuse('HX010', 'COVER');
        elsif taken.cents > 0 then
            update settlements set refund_reference = taken.reference, refund_done = true
            where id = p_settlement;
        end if;
    end if;
    update settlements set state = 'PENDING', due_at = hx_clock() where id = p_settlement;
    perform close_item('SETTLEMENT_HELD', p_settlement::text);
    return jsonb_build_object('subject_id', p_settlement, 'settle', true);
end;
$$;

-- A leg that a person carried out at the provider: its reference is booked like the worker's own.
create or replace function book_leg_by_hand(
    p_admin uuid, p_settlement uuid, p_leg text, p_reference text, p_reason text
) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(
        p_admin, 'BOOK_LEG', 'settlement', p_settlement::text, p_reason,
        jsonb_build_object('leg', p_leg, 'reference', p_reference)
    );
    s settlements := hold_settlement_rows(p_settlement);
begin
    if p_leg = 'TRANSFER' and s.transfer_done and s.transfer_reference = p_reference
        or p_leg = 'REFUND' and s.refund_done and s.refund_reference = p_reference
    then
        -- the provider's own word about it was quicker
        return jsonb_build_object('subject_id', s.id);
    end if;
    -- only what is held: the worker may be calling the provider for any other this very moment
    if s.state <> 'HELD' or not (
        case p_leg
            when 'TRANSFER' then s.release_amount > 0 and not s.transfer_done
            when 'REFUND' then s.refund_amount > 0 and not s.refund_done
            else false
        end
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    if exists (
        select from settlements as other
        where other.id <> s.id and p_reference = case p_leg
            when 'TRANSFER' then other.transfer_reference else other.refund_reference
        end
    ) then
        raise exception using
            errcode = 'check_violation',
            constraint = 'reference_used',
            message = 'That reference belongs to another settlement.';
    end if;
    return book_leg(p_settlement, p_leg, p_reference);
end;
$$;

-- Trapped money: the task has ended, or the escrow was replaced, and nothing moves what it holds.
-- The settlement that is missing is made; HX010 where none is.
create or replace function requeue_settlement(p_admin uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(p_admin, 'REQUEUE_SETTLEMENT', 'task', p_task::text, p_reason);
    t tasks := lock_task_as_admin(p_task);
    e escrows;
    d disputes;
    made uuid;
begin
    for e in
        select * from escrows
        where task_id = p_task and state in ('FUNDED', 'LOCKED_DISPUTE')
        order by id
        for no key update
    loop
        case settlement_due(e)
            when 'RELEASE' then made := queue_settlement(e.id, 'RELEASE', e.amount, 0);
            when 'REFUND' then made := queue_settlement(e.id, 'REFUND', 0, e.amount);
            when 'SPLIT' then
                select * into d from disputes where task_id = p_task;
                made := queue_settlement(e.id, 'SPLIT', d.release_amount, d.refund_amount);
            else
                null;
        end case;
    end loop;
    if made is null then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    return jsonb_build_object('task_id', t.id, 'subject_id', made, 'settle', true);
end;
$$;

-- Where a hustler is paid, set by an admin.
create or replace function admin_set_payout_account(
    p_admin uuid, p_user uuid, p_account text, p_enabled boolean, p_reason text
) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(
        p_admin, 'SET_PAYOUT_ACCOUNT', 'user', p_user::text, p_reason,
        jsonb_build_object('account_id', p_account, 'payouts_enabled', p_enabled)
    );
begin
    if not exists (select from users as u where u.id = p_user) then
        perform hx_not_found();
    end if;
    if exists (
        select from payout_accounts as p where p.account_id = p_account and p.user_id <> p_user
    ) then
        raise exception using
            errcode = 'check_violation',
            constraint = 'payout_account_used',
            message = 'That account belongs to another hustler.';
    end if;
    return set_payout_account(p_user, p_account, p_enabled);
end;
$$;

-- What the provider moved and we had not booked: the booking, as an audited act.
create or replace function repair_funding(
    p_admin uuid, p_reason text, p_difference jsonb, p_escrow uuid, p_payment text, p_plan jsonb
) returns jsonb
language plpgsql
as $$
begin
    perform admin_act(
        p_admin, 'REPAIR_FUNDING', 'escrow', p_escrow::text, p_reason, p_difference
    );
    return book_funding(p_escrow, p_payment, p_plan);
end;
$$;

create or replace function repair_leg(
    p_admin uuid, p_reason text, p_difference jsonb, p_settlement uuid, p_reference text, p_leg text
) returns jsonb
language plpgsql
as $$
begin
    perform admin_act(
        p_admin, 'REPAIR_LEG', 'settlement', p_settlement::text, p_reason, p_difference
    );
    return book_leg(p_settlement, p_leg, p_reference);
end;
$$;

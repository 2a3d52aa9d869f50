-- Money as its parties and admins see it.

create or replace function escrow_view(e escrows) returns jsonb
language sql immutable
return jsonb_build_object('id', e.id, 'state', e.state, 'amount_cents', e.amount);

create or replace function settlement_view(s settlements) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'id', s.id,
        'task_id', e.task_id,
        'escrow_id', e.id,
        'escrow_state', e.state,
        'amount_cents', e.amount,
        'kind', s.kind,
        'state', s.state,
        'late_payment', s.payment,
        'fee_cents', s.fee_amount,
        'legs', array_remove(array[
            case when s.release_amount > 0 then jsonb_build_object(
                'leg', 'TRANSFER', 'amount_cents', s.release_amount - s.fee_amount,
                'reference', s.transfer_reference, 'done', s.transfer_done
            ) end,
            case when s.refund_amount > 0 then jsonb_build_object(
                'leg', 'REFUND', 'amount_cents', s.refund_amount,
                'reference', s.refund_reference, 'done', s.refund_done
            ) end
        ], null),
        'attempts', s.attempts,
        'last_error', s.last_error,
        'due_at', s.due_at,
        'created_at', s.created_at,
        'done_at', s.done_at
    )
    from escrows as e where e.id = s.escrow_id
);

create or replace function chargeback_view(c chargebacks) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'id', c.id, 'task_id', e.task_id, 'escrow_id', e.id, 'escrow_state', e.state,
        'payment', c.payment, 'amount_cents', c.amount, 'state', c.state,
        'opened_at', c.opened_at, 'closed_at', c.closed_at
    )
    from escrows as e where e.id = c.escrow_id
);

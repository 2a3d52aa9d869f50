-- A price proposal as both sides see it.

create or replace function proposal_view(p price_proposals) returns jsonb
language sql stable
return jsonb_build_object(
    'id', p.id,
    'task_id', p.task_id,
    'proposer_id', p.proposer_id,
    'price_cents', p.price,
    'state', p.state,
    'created_at', p.created_at,
    'escrow', (
        select jsonb_build_object('id', e.id, 'state', e.state, 'amount_cents', e.amount)
        from escrows as e where e.id = p.escrow_id
    )
);

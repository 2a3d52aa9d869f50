-- Events of price proposals.

create or replace function proposal_event(p price_proposals, p_reader uuid) returns jsonb
language sql stable
return hx_event(p_reader, 'PRICE_PROPOSAL', jsonb_build_object(
    'task_id', p.task_id, 'proposal_id', p.id, 'proposer_id', p.proposer_id,
    'price_cents', p.price, 'state', p.state
));

create or replace function proposal_events(p price_proposals, t tasks) returns jsonb
language sql stable
return jsonb_build_array(proposal_event(p, t.poster_id), proposal_event(p, t.assigned_hustler_id));

-- Disputes as their parties see them, as the JSON of the contract.

create or replace function dispute_view(d disputes) returns jsonb
language sql stable
return jsonb_build_object(
    'id', d.id,
    'task_id', d.task_id,
    'opened_by', d.opened_by,
    'side', d.side,
    'reason', d.reason,
    'state', d.state,
    'outcome', d.outcome,
    'release_cents', d.release_amount,
    'refund_cents', d.refund_amount,
    'resolution', d.resolution,
    'opened_at', d.opened_at,
    'evidence_due_at', d.evidence_due_at,
    'resolved_at', d.resolved_at,
    'evidence', (
        select coalesce(jsonb_agg(jsonb_build_object(
            'id', v.id, 'submitted_by', v.submitted_by, 'text', v.body, 'photos', v.upload_ids,
            'created_at', v.created_at
        ) order by v.created_at, v.id), '[]')
        from evidence as v where v.dispute_id = d.id
    )
);

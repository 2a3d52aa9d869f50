-- Proofs as both sides see them.

-- A photo of a proof: never where it was taken, only whether place and time fit; null: not told.
create or replace function proof_photo_view(f proof_photos, p proofs) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'id', f.upload_id,
        'content_type', f.mime_type,
        'bytes', f.file_size,
        'captured_at', u.captured_at,
        'captured_in_time', u.captured_at between t.accepted_at - photo_time_slack()
            and p.submitted_at + photo_time_slack(),
        'near_place', miles_between(
            f.gps_latitude, f.gps_longitude, t.location_lat, t.location_lng
        ) <= photo_near_miles()
    )
    from uploads as u, tasks as t
    where u.id = f.upload_id and t.id = p.task_id
);

-- A proof as both sides see it.
create or replace function proof_view(p proofs) returns jsonb
language sql stable
return jsonb_build_object(
    'id', p.id,
    'task_id', p.task_id,
    'kind', p.kind,
    'state', p.state,
    'submitted_at', p.submitted_at,
    'review_deadline', p.review_deadline,
    'reviewed_at', p.reviewed_at,
    'reject_reason', p.reject_reason,
    'started_by_code', (select t.started_at is not null from tasks as t where t.id = p.task_id),
    'photos', (
        select coalesce(jsonb_agg(proof_photo_view(f, p) order by f.upload_order), '[]')
        from proof_photos as f where f.proof_id = p.id
    )
);

create or replace function proofs_view(p_task uuid) returns jsonb
language sql stable
return (
    select coalesce(jsonb_agg(proof_view(p) order by p.created_at, p.id), '[]')
    from proofs as p where p.task_id = p_task
);

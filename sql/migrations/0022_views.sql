-- What each viewer may see, as the JSON of the contract (engine/views.py).
-- All of it is STABLE: one statement, one snapshot, so a snapshot's last_seq fits its state.

create function task_visible(t tasks, p_viewer uuid) returns boolean
language sql stable
return
    t.poster_id = p_viewer
    or t.assigned_hustler_id is not distinct from p_viewer
    or (
        -- LIVE work is seen by those it was offered to
        t.mode = 'LIVE'
        and exists (
            select from live_broadcasts as b
            inner join offers as o on o.broadcast_id = b.id
            where b.task_id = t.id and o.hustler_id = p_viewer
        )
    )
    or (
        -- STANDARD work by whoever could accept it: open, paid for, and within the gate
        t.mode = 'STANDARD' and t.state = 'OPEN'
        and eligible(t.id, p_viewer)
        and account_is_active(t.poster_id)
        and exists (
            select from escrows as e where e.task_id = t.id and e.is_current and e.state = 'FUNDED'
        )
    )
    or is_admin(p_viewer);

-- The exact place is for the poster and for the hustler who holds the task.
create function task_place(t tasks, p_viewer uuid) returns jsonb
language sql stable
return case
    when t.poster_id = p_viewer or (
        t.assigned_hustler_id is not distinct from p_viewer
        and t.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED')
    )
        then jsonb_strip_nulls(jsonb_build_object(
            'lat', t.location_lat, 'lng', t.location_lng, 'address', t.location_address
        ))
    else jsonb_build_object('lat', t.place_lat, 'lng', t.place_lng)
end;

create function broadcast_view(b live_broadcasts) returns jsonb
language plpgsql stable
as $$
begin
    return jsonb_build_object(
        'id', b.id,
        'state', b.state,
        'started_at', b.started_at,
        'expires_at', b.expires_at,
        'radius_miles', broadcast_radius_miles(b, hx_clock()),
        'next_expansion_at', broadcast_next_expansion_at(b, hx_clock()),
        'hustlers_notified', (select count(*) from offers as o where o.broadcast_id = b.id)
    );
end;
$$;

create function escrow_view(e escrows) returns jsonb
language sql immutable
return jsonb_build_object('id', e.id, 'state', e.state, 'amount_cents', e.amount);

create function task_view(t tasks, p_viewer uuid) returns jsonb
language sql stable
return jsonb_build_object(
    'id', t.id,
    'version', t.version,
    'mode', t.mode,
    'state', t.state,
    'title', t.title,
    'description', t.description,
    'category', t.category,
    'price_cents', t.price,
    'hustler_pay_cents', t.price - platform_fee_cents(t.price),
    'location', task_place(t, p_viewer),
    'deadline', t.deadline,
    'requires_proof', t.requires_proof,
    'min_photos', t.min_photos,
    'estimated_minutes', t.estimated_minutes,
    'required_trade', t.required_trade,
    'required_trust_tier', t.required_trust_tier,
    'insurance_required', t.insurance_required,
    'background_check_required', t.background_check_required,
    'poster_id', t.poster_id,
    'assigned_hustler_id', t.assigned_hustler_id,
    'predecessor_id', t.predecessor_id,
    'successor_id', (select heir.id from tasks as heir where heir.predecessor_id = t.id),
    'created_at', t.created_at,
    'accepted_at', t.accepted_at,
    'en_route_at', t.en_route_at,
    'eta_at', t.eta_at,
    'arrived_at', t.arrived_at,
    'started_at', t.started_at,
    'completed_at', t.completed_at
) || jsonb_build_object(
    'broadcast', (
        select broadcast_view(b) from live_broadcasts as b
        where b.task_id = t.id
        order by (b.state = 'ACTIVE') desc, b.started_at desc
        limit 1
    ),
    'escrow', (
        select escrow_view(e) from escrows as e where e.task_id = t.id and e.is_current
    )
) || case
    -- another price under way: what waits for the poster's payment, and what is on the table
    when t.state in ('MATCHING', 'ACCEPTED') and p_viewer in (t.poster_id, t.assigned_hustler_id)
        then jsonb_strip_nulls(jsonb_build_object(
            'replacement', (
                select escrow_view(e) from escrows as e
                where e.task_id = t.id and e.replaces is not null and e.state = 'PENDING'
                    and t.poster_id = p_viewer
            ),
            'proposal', (
                select proposal_view(p) from price_proposals as p
                where p.task_id = t.id and p.state in ('OPEN', 'AGREED')
            )
        ))
    else '{}'
end || case
    -- a proof may still be turned down and the work go on
    when t.poster_id = p_viewer
        and t.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED', 'DISPUTED')
        then coalesce(
            (
                select jsonb_build_object('code_generation', max(c.generation))
                from task_codes as c where c.task_id = t.id
            ),
            '{}'
        )
    else '{}'
end;

-- Miles between two points, as geo/distance.py has them: haversine on the mean sphere.
create function miles_between(
    lat1 double precision, lng1 double precision, lat2 double precision, lng2 double precision
) returns double precision
language sql immutable strict
return 2 * 6371008.7714 / 1609.344 * asin(least(1, sqrt(
    sin(radians(lat2 - lat1) / 2) ^ 2
    + cos(radians(lat1)) * cos(radians(lat2)) * sin(radians(lng2 - lng1) / 2) ^ 2
)));

-- A photo of a proof: never where it was taken, only whether place and time fit; null: not told.
create function proof_photo_view(f proof_photos, p proofs) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'id', f.upload_id,
        'content_type', f.mime_type,
        'bytes', f.file_size,
        'captured_at', u.captured_at,
        'captured_in_time', u.captured_at between t.accepted_at - interval '5 minutes'
            and p.submitted_at + interval '5 minutes',
        'near_place', miles_between(
            f.gps_latitude, f.gps_longitude, t.location_lat, t.location_lng
        ) <= 0.25
    )
    from uploads as u, tasks as t
    where u.id = f.upload_id and t.id = p.task_id
);

-- A proof as both sides see it.
create function proof_view(p proofs) returns jsonb
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

create function proofs_view(p_task uuid) returns jsonb
language sql stable
return (
    select coalesce(jsonb_agg(proof_view(p) order by p.created_at, p.id), '[]')
    from proofs as p where p.task_id = p_task
);

-- Every step of a task, oldest first.
create function history_view(p_task uuid) returns jsonb
language sql stable
return (
    select jsonb_agg(jsonb_build_object(
        'from', h.from_state, 'to', h.to_state, 'actor_id', h.actor_id, 'reason', h.reason, 'at', h.at
    ) order by h.id)
    from task_transitions as h where h.task_id = p_task
);

create function dispute_view(d disputes) returns jsonb
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

create function live_view(s live_status) returns jsonb
language sql stable
return jsonb_strip_nulls(jsonb_build_object(
    'state', coalesce(live_state(s, hx_clock()), 'OFF'),
    'reason', live_state_reason(s, hx_clock()),
    'ends_at', live_state_ends_at(s, hx_clock()),
    'session_id', s.session_id,
    'since', s.active_since,
    'radius_miles', s.radius_miles,
    'categories', s.categories
));

-- The open offers of a hustler, best first.
create function offers_view(p_hustler uuid) returns jsonb
language plpgsql stable
as $$
begin
    return coalesce((
        select jsonb_agg(offer_card(o) order by o.matching_score desc, o.distance_miles, o.offered_at)
        from open_offers(array[p_hustler], hx_clock()) as o
    ), '[]');
end;
$$;

create function tasks_view(p_user uuid) returns jsonb
language sql stable
return coalesce((
    select jsonb_agg(task_view(t, p_user) order by t.created_at desc, t.id)
    from (
        select tasks.* from tasks
        where (tasks.poster_id = p_user or tasks.assigned_hustler_id = p_user)
            and tasks.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
        order by tasks.created_at desc, tasks.id
        limit 50
    ) as t
), '[]');

create function user_snapshot(p_user uuid) returns jsonb
language plpgsql stable
as $$
begin
    return (
        select jsonb_build_object(
            'user_id', p_user,
            'server_time', hx_clock(),
            'last_seq', coalesce(c.last_seq, 0),
            'live', live_view(s),
            'offers', offers_view(p_user),
            'tasks', tasks_view(p_user)
        )
        from (select p_user as id) as u
        left join user_counters as c on c.user_id = u.id
        left join live_status as s on s.user_id = u.id
    );
end;
$$;

-- What each viewer may see of a task, as the JSON of the contract (engine/tasks/views.py).
-- All of it is STABLE: one statement, one snapshot, so a snapshot's last_seq fits its state.

create or replace function task_visible(t tasks, p_viewer uuid) returns boolean
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
create or replace function task_place(t tasks, p_viewer uuid) returns jsonb
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

create or replace function task_view(t tasks, p_viewer uuid) returns jsonb
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
    'successor_id', (select successor.id from tasks as successor where successor.predecessor_id = t.id),
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

-- Every step of a task, oldest first.
create or replace function history_view(p_task uuid) returns jsonb
language sql stable
return (
    select jsonb_agg(jsonb_build_object(
        'from', h.from_state, 'to', h.to_state, 'actor_id', h.actor_id, 'reason', h.reason, 'at', h.at
    ) order by h.id)
    from task_transitions as h where h.task_id = p_task
);

-- The newest tasks of a user, on either side, that are not over.
create or replace function tasks_under_way(p_user uuid) returns setof tasks
language sql stable
begin atomic
    select t.* from tasks as t
    where (t.poster_id = p_user or t.assigned_hustler_id = p_user)
        and t.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
    order by t.created_at desc, t.id
    limit 50;
end;

-- A task with those before and behind it: one line of work, one line of money.
create or replace function task_lineage(p_task uuid) returns uuid[]
language sql stable
return (
    with recursive back as (
        select t.id, t.predecessor_id from tasks as t where t.id = p_task
        union all
        select t.id, t.predecessor_id from back inner join tasks as t on t.id = back.predecessor_id
    ),

    forth as (
        select b.id from back as b where b.predecessor_id is null
        union all
        select t.id from forth inner join tasks as t on t.predecessor_id = forth.id
    )

    select array_agg(f.id) from forth as f
);

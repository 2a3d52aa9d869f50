-- A task, derived: its actor, its two sides, its status, when a no-show begins.

-- Who acts, and why: read by the audit trigger, gone with the transaction.
create or replace function set_actor(actor uuid, reason text) returns void
language plpgsql
as $$
begin
    perform set_config('hx.actor', coalesce(actor::text, ''), true);
    perform set_config('hx.reason', coalesce(reason, ''), true);
end;
$$;

-- `arrived_at` tells the arrival, which changes no state, from the accept before it.
create or replace function task_status(t tasks) returns jsonb
language sql stable
return jsonb_strip_nulls(jsonb_build_object(
    'task_id', t.id, 'state', t.state, 'arrived_at', t.arrived_at, 'updated_at', t.updated_at
));

-- The same event for the poster and the hustler of a task.
create or replace function both_sides(t tasks, p_type text, p_data jsonb) returns jsonb
language sql immutable
return jsonb_build_array(
    hx_event(t.poster_id, p_type, p_data), hx_event(t.assigned_hustler_id, p_type, p_data)
);

-- From when a hustler who has not arrived counts as a no-show: some time after the ETA, or where none
-- was known after the deadline, or after what an arrival takes at most.
create or replace function no_show_from(t tasks) returns timestamptz
language sql immutable
return coalesce(t.eta_at, t.deadline, t.accepted_at + arrival_expected_within()) + no_show_grace();

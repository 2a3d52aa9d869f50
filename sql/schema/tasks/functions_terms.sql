-- The terms of a task as one value: read from its row, written into it. The lists of columns have the
-- order of task_terms and stand nowhere else; one that is shorter is no valid statement.

create or replace function terms_of(t tasks) returns task_terms
language sql immutable
return row(
    t.title, t.description, t.category, t.price,
    t.location_lat, t.location_lng, t.location_address, t.place_lat, t.place_lng,
    t.deadline, t.requires_proof, t.min_photos, t.estimated_minutes,
    t.required_trade, t.required_trust_tier, t.insurance_required, t.background_check_required,
    t.partition
)::task_terms;

-- A new task on these terms, with the timer of its deadline.
create or replace function insert_task(
    p_poster uuid, p_mode text, p_terms task_terms, p_predecessor uuid default null
) returns tasks
language plpgsql
as $$
declare
    made tasks;
begin
    insert into tasks (
        poster_id, mode, state, predecessor_id,
        title, description, category, price, location_lat, location_lng, location_address,
        place_lat, place_lng, deadline, requires_proof, min_photos, estimated_minutes,
        required_trade, required_trust_tier, insurance_required, background_check_required,
        partition
    )
    values (
        p_poster, p_mode, case p_mode when 'LIVE' then 'MATCHING' else 'OPEN' end, p_predecessor,
        (p_terms).*
    )
    returning * into made;
    if made.deadline is not null then
        perform hx_timer('DEADLINE', made.id, made.deadline);
    end if;
    return made;
end;
$$;

create or replace function update_terms(p_task uuid, p_terms task_terms, p_at timestamptz)
returns tasks
language plpgsql
as $$
declare
    t tasks;
begin
    update tasks
    set
        (
            title, description, category, price, location_lat, location_lng, location_address,
            place_lat, place_lng, deadline, requires_proof, min_photos, estimated_minutes,
            required_trade, required_trust_tier, insurance_required, background_check_required,
            partition
        ) = row((p_terms).*),
        updated_at = p_at
    where id = p_task
    returning * into t;
    return t;
end;
$$;

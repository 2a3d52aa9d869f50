-- What an admin does with a task: docs/admin.md.
create or replace function lock_task_as_admin(p_task uuid) returns tasks
language plpgsql
as $$
declare
    t tasks;
begin
    select * into t from tasks where id = p_task for no key update;
    if not found then
        perform hx_not_found();
    end if;
    return t;
end;
$$;

-- Nobody has begun: the poster gets everything back.
create or replace function admin_cancel_task(p_admin uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(p_admin, 'CANCEL_TASK', 'task', p_task::text, p_reason);
    t tasks := lock_task_as_admin(p_task);
begin
    if t.state in ('COMPLETED', 'CANCELLED', 'EXPIRED') then
        perform hx_refuse('HX001', 'TASK-TERMINAL');
    end if;
    if t.state not in ('OPEN', 'MATCHING', 'ACCEPTED') or t.arrived_at is not null then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return end_task(t, 'CANCELLED', p_admin, 'ADMIN_CANCELLED', p_reason);
end;
$$;

-- A hustler locked out of a code may try again at once.
create or replace function unlock_codes(p_admin uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(p_admin, 'UNLOCK_CODES', 'task', p_task::text, p_reason);
    t tasks := lock_task_as_admin(p_task);
begin
    update task_codes set tries = 0, locked_until = null where task_id = p_task;
    return jsonb_build_object('task_id', t.id);
end;
$$;

-- Events that a command collects for append_events.

create or replace function hx_event(user_id uuid, type text, data jsonb) returns jsonb
language sql immutable
return jsonb_build_object('user_id', user_id, 'type', type, 'data', data);

create or replace function reminder(p_user uuid, p_kind text, p_task uuid, p_text text) returns jsonb
language sql immutable
return hx_event(p_user, 'NUDGE', jsonb_build_object(
    'kind', p_kind, 'text', p_text, 'task_id', p_task
));

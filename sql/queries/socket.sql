-- What the WebSocket side asks beside the views.

-- name: task_status
-- $1 viewer, $2 task
select task_status(t)
from tasks as t
where t.id = $2 and task_visible(t, $1);

-- name: code_generations
-- $1 tasks, $2 kind
select c.task_id, c.generation from task_codes as c
where c.task_id = any($1::uuid[]) and c.kind = $2;

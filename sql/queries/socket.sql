-- What the WebSocket side asks beside the views.

-- name: task_status
-- $1 viewer, $2 task
select jsonb_build_object('task_id', t.id, 'state', t.state, 'updated_at', t.updated_at)
from tasks as t
where t.id = $2 and task_visible(t, $1)

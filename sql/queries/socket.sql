-- What the WebSocket side asks beside the views.

-- name: task_status
-- $1 viewer, $2 task
select task_status(t)
from tasks as t
where t.id = $2 and task_visible(t, $1);

-- name: tasks_seen
-- of $1 viewers and $2 tasks, pair by pair
select w.viewer_id, w.task_id
from unnest($1::uuid[], $2::uuid[]) as w (viewer_id, task_id)
inner join tasks as t on t.id = w.task_id
where task_visible(t, w.viewer_id);

-- name: code_generations
-- $1 tasks, $2 kind
select c.task_id, c.generation from task_codes as c
where c.task_id = any($1::uuid[]) and c.kind = $2;

-- name: hustler_states
-- $1 users: whether each is in LIVE mode, and whether offers can be shown to them, as open_offers has it
with clock as materialized (select hx_clock() as at)

select
    s.user_id,
    live_state(s, c.at) <> 'OFF' as is_live,
    live_state(s, c.at) = 'ACTIVE' and not exists (
        select from tasks as t where t.assigned_hustler_id = s.user_id and counts_as_busy(t)
    ) as is_offerable
from live_status as s cross join clock as c
where s.user_id = any($1::uuid[]);

-- name: broadcasts_ended
-- of $1
select b.id, b.task_id, b.state from live_broadcasts as b
where b.id = any($1::uuid[]) and b.state <> 'ACTIVE';

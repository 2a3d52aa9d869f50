-- What must hold about LIVE mode, offers and events; see invariants_money.sql.

-- name: offers_know_their_task
-- An offer names a broadcast, the task of that broadcast and a user; no foreign key says so.
select
    format('%s %s', o.broadcast_id, o.hustler_id) as subject,
    concat_ws(
        ', ',
        case when b.id is null then 'no broadcast' when b.task_id <> o.task_id then 'another task' end,
        case when t.id is null then 'no task' end,
        case when u.id is null then 'no user' end
    ) as found
from offers as o
left join live_broadcasts as b on b.id = o.broadcast_id
left join tasks as t on t.id = o.task_id
left join users as u on u.id = o.hustler_id
where b.id is null or b.task_id <> o.task_id or t.id is null or u.id is null;

-- name: accepted_offers_won
-- The one offer that was answered with ACCEPT is that of the hustler who got the task.
select t.id::text as subject, format('accepted by %s', string_agg(o.hustler_id::text, ', ')) as found
from offers as o
inner join tasks as t on t.id = o.task_id
where o.response = 'ACCEPT'
group by t.id, t.assigned_hustler_id
having count(*) > 1 or min(o.hustler_id::text) is distinct from t.assigned_hustler_id::text;

-- name: broadcasts_know_their_winner
-- A LIVE task that was accepted has one ACCEPTED broadcast, won by the hustler it is assigned to.
select
    t.id::text as subject,
    format('assigned to %s, won by %s', t.assigned_hustler_id, string_agg(b.accepted_by::text, ', '))
        as found
from tasks as t
left join live_broadcasts as b
    on b.task_id = t.id and (b.state = 'ACCEPTED' or b.accepted_by is not null)
where t.mode = 'LIVE'
group by t.id, t.assigned_hustler_id
having count(b.id) <> (t.assigned_hustler_id is not null)::integer
    or min(b.accepted_by::text) is distinct from t.assigned_hustler_id::text;

-- name: broadcasts_run_for_matching_tasks
-- A broadcast is ACTIVE only while its LIVE task is in MATCHING (LIVE-1 sees to its money).
select b.id::text as subject, format('task %s %s', t.mode, t.state) as found
from live_broadcasts as b
inner join tasks as t on t.id = b.task_id
where b.state = 'ACTIVE' and (t.mode <> 'LIVE' or t.state <> 'MATCHING');

-- name: broadcasts_are_where_their_task_is
-- A broadcast is in the partition of its task.
select b.id::text as subject, format('partition %s, task in %s', b.partition, t.partition) as found
from live_broadcasts as b
inner join tasks as t on t.id = b.task_id
where b.partition <> t.partition;

-- name: live_sessions_are_open_once
-- A LIVE session is open exactly while its hustler's status names it.
select coalesce(l.user_id, s.user_id)::text as subject,
    format('open session %s, status names %s', l.id, s.session_id) as found
from (select n.* from live_sessions as n where n.ended_at is null) as l
full join (select n.* from live_status as n where n.session_id is not null) as s
    on s.session_id = l.id and s.user_id = l.user_id
where l.id is null or s.session_id is null;

-- name: suspended_hustlers_are_not_live
-- Nobody with a suspended account is in LIVE mode.
select u.id::text as subject, format('session %s', s.session_id) as found
from users as u
inner join live_status as s on s.user_id = u.id
where u.account_status = 'SUSPENDED' and s.session_id is not null;

-- name: suspended_posters_broadcast_nothing
-- No broadcast runs for a poster whose account is shut.
select b.id::text as subject, format('poster %s', t.poster_id) as found
from live_broadcasts as b
inner join tasks as t on t.id = b.task_id
inner join users as u on u.id = t.poster_id
where b.state = 'ACTIVE' and u.account_status = 'SUSPENDED';

-- name: users_have_their_rows
-- Every user has a counter, a profile, a LIVE status and a streak.
select
    u.id::text as subject,
    concat_ws(
        ', ',
        case when c.user_id is null then 'no counter' end,
        case when p.user_id is null then 'no profile' end,
        case when s.user_id is null then 'no LIVE status' end,
        case when g.user_id is null then 'no streak' end
    ) as found
from users as u
left join user_counters as c on c.user_id = u.id
left join hustler_profiles as p on p.user_id = u.id
left join live_status as s on s.user_id = u.id
left join progress as g on g.user_id = u.id
where c.user_id is null or p.user_id is null or s.user_id is null or g.user_id is null;

-- name: events_have_no_gaps
-- A user's events are numbered without gaps up to the counter.
select
    coalesce(e.user_id, c.user_id)::text as subject,
    format('%s events from %s to %s, counter %s', e.events, e.first, e.last, c.last_seq) as found
from (
    select n.user_id, count(*) as events, min(n.seq) as first, max(n.seq) as last
    from user_events as n
    group by n.user_id
) as e
left join user_counters as c on c.user_id = e.user_id
where e.events <> e.last - e.first + 1 or e.last is distinct from c.last_seq;

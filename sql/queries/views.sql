-- name: task_view
select task_view(t, $1) from tasks as t where t.id = $2 and task_visible(t, $1);

-- name: tasks_page
-- $1 viewer, $2 role (poster or hustler), $3 state or null, $4 $5 cursor (created_at, id) or null, $6 limit
select task_view(t, $1) as item, t.created_at, t.id
from tasks as t
where $1 = case when $2 = 'hustler' then t.assigned_hustler_id else t.poster_id end
    and ($3::text is null or t.state = $3)
    and ($4::timestamptz is null or (t.created_at, t.id) < ($4, $5::uuid))
order by t.created_at desc, t.id desc
limit $6;

-- name: task_history
select history_view(t.id)
from tasks as t
where t.id = $2 and ($1 in (t.poster_id, t.assigned_hustler_id) or is_admin($1));

-- name: task_proofs
select proofs_view(t.id)
from tasks as t
where t.id = $2 and ($1 in (t.poster_id, t.assigned_hustler_id) or is_admin($1));

-- name: proof_view
select proof_view(p) from proofs as p where p.id = $1;

-- name: dispute_view
select dispute_view(d)
from tasks as t
inner join disputes as d on d.task_id = t.id
where t.id = $2 and ($1 in (t.poster_id, t.assigned_hustler_id) or is_admin($1));

-- name: proposal_view
select proposal_view(p) from price_proposals as p where p.id = $1;

-- name: task_proposals
select
    (
        select coalesce(jsonb_agg(proposal_view(p) order by p.created_at, p.id), '[]')
        from price_proposals as p where p.task_id = t.id
    )
from tasks as t
where t.id = $2 and ($1 in (t.poster_id, t.assigned_hustler_id) or is_admin($1));

-- name: escrow_view
select escrow_view(e) from escrows as e where e.id = $1;

-- name: live_views
-- $1 users: a row for each, in this order; null where there is none
select live_view(s) as view, s.user_id is not null as is_there
from unnest($1::uuid[]) with ordinality as u (id, n)
left join live_status as s on s.user_id = u.id
order by u.n;

-- name: snapshots
-- $1 users: the cards that they share, then each one's snapshot
select s from snapshots($1) as s;

-- name: events_after
-- $1 user, $2 position, $3 limit: the events and where the counter stands, in one snapshot
select
    jsonb_build_object(
        'last_seq', coalesce((select c.last_seq from user_counters as c where c.user_id = $1), 0),
        'events', coalesce(
            (
                select jsonb_agg(to_jsonb(e) order by e.seq)
                from (
                    select u.user_id, u.seq, u.at, u.type, u.data from user_events as u
                    where u.user_id = $1 and u.seq > $2
                    order by u.seq
                    limit $3
                ) as e
            ),
            '[]'
        )
    );

-- name: events_after_many
-- $1 users, $2 their positions, $3 limit for each
select to_jsonb(e)
from unnest($1::uuid[], $2::bigint[]) as w (user_id, seq)
cross join lateral (
    select u.user_id, u.seq, u.at, u.type, u.data from user_events as u
    where u.user_id = w.user_id and u.seq > w.seq
    order by u.seq
    limit $3
) as e;

-- name: positions
select
    u.id as user_id,
    coalesce(c.last_seq, 0) as last_seq,
    u.account_status = 'SUSPENDED' as is_suspended,
    u.tokens_revoked_at
from users as u
left join user_counters as c on c.user_id = u.id
where u.id = any($1::uuid[]);

-- name: users_for
-- $1 issuers, $2 subjects, $3 roles, $4 first names: a row for each, in this order
select id, role, account_status, tokens_revoked_at from users_for($1, $2, $3, $4);

-- name: user_by_id
select id, role, account_status, tokens_revoked_at from users where id = $1;

-- name: me_view
select jsonb_build_object(
    'id', u.id,
    'role', u.role,
    'first_name', u.first_name,
    'account_status', u.account_status,
    'trust_tier', u.trust_tier,
    'trust_points', u.trust_points,
    'total_xp', u.total_xp,
    'level', l.level,
    'level_title', l.title,
    'streak_days', streak_now(u.id, hx_clock()),
    'time_zone', p.time_zone,
    'live', live_view(s)
)
from users as u
inner join live_status as s on s.user_id = u.id
inner join progress as p on p.user_id = u.id
inner join levels as l on l.level = level_of(u.total_xp)
where u.id = $1;

-- name: engagements
-- the tasks in ACCEPTED that these hustlers drive to
select t.id as task_id, t.assigned_hustler_id as hustler_id, t.poster_id,
    t.location_lat as lat, t.location_lng as lng, t.arrived_at is not null as arrived
from tasks as t
where t.assigned_hustler_id = any($1::uuid[]) and t.state = 'ACCEPTED';

-- name: migrations_applied
select name, checksum from schema_migrations;

-- name: schema_history
select digest from schema_history order by first_at, digest;

-- name: clock
select hx_clock();

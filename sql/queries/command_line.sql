-- What the command line asks, as the owner (gateway/cli).

-- name: vouch_for_user
-- `hustlexp token`: verified, and in the role that was asked for
update users as u
set
    role = $2,
    first_name = $3,
    account_status = 'ACTIVE',
    identity_verified_at = coalesce(u.identity_verified_at, hx_clock()),
    trust_tier = greatest(u.trust_tier, 2)
where u.id = $1;

-- name: vouch_for_hustler
-- able to work: insured, checked, with a few trades; a place only where one was given
update hustler_profiles as p
set
    version = p.version + 1,
    insurance_valid = true,
    background_check_valid = true,
    verified_trades = $2,
    home_lat = coalesce($3, p.home_lat),
    home_lng = coalesce($4, p.home_lng)
where p.user_id = $1;

-- name: advance_clock
-- the clock of this database is ahead of the wall clock by the amount returned
insert into clock_offset as c (amount) values ($1::interval)
on conflict (singleton) do update set amount = c.amount + excluded.amount
returning c.amount;

-- name: clock_offset
select coalesce((select c.amount from clock_offset as c), interval '0');

-- name: server_facts
-- max_connections counts the places kept for superusers too
select
    current_setting('server_version') as version,
    current_setting('server_version_num')::integer as version_number,
    current_setting('max_connections')::integer as max_connections,
    current_setting('max_prepared_transactions')::integer as max_prepared_transactions,
    current_setting('fsync') as fsync;

-- name: explain_offer
-- what decides whether this hustler is offered this task's latest broadcast; one row, or none
-- for an unknown task or hustler. The distance is the caller's: presence is not in here.
select
    t.mode,
    t.state,
    t.category,
    t.location_lat,
    t.location_lng,
    b.id as broadcast_id,
    b.state as broadcast_state,
    b.started_at,
    b.expires_at,
    broadcast_runs(b, c.at) as runs,
    broadcast_radius_miles(b, c.at) as radius_miles,
    b.max_radius_miles,
    broadcast_next_expansion_at(b, c.at) as next_expansion_at,
    live_state(s, c.at) as live_state,
    live_state_reason(s, c.at) as live_state_reason,
    live_state_ends_at(s, c.at) as live_state_ends_at,
    s.radius_miles as own_radius_miles,
    s.categories as own_categories,
    is_busy(u.id) as busy,
    u.id = any(releasers(t.id)) as released_it,
    eligible(t.id, u.id) as eligible,
    (select count(*) from open_offers(array[u.id], c.at) as f) as open_offers,
    o.offered_at,
    o.sent_at,
    o.responded_at,
    o.response,
    o.distance_miles as offered_distance_miles,
    o.matching_score
from (select hx_clock() as at) as c
cross join tasks as t
cross join users as u
inner join live_status as s on s.user_id = u.id
left join lateral (
    select l.* from live_broadcasts as l
    where l.task_id = t.id
    order by l.started_at desc
    limit 1
) as b on true
left join offers as o on o.broadcast_id = b.id and o.hustler_id = u.id
where t.id = $1 and u.id = $2;

-- name: explain_eligibility
-- clause by clause what the gate asks of this hustler for this task
select c.clause, c.needed, c.has, c.ok
from tasks as t
cross join users as u
inner join hustler_profiles as p on p.user_id = u.id
cross join lateral eligibility_clauses(t, u, p) with ordinality as c
where t.id = $1 and u.id = $2
order by c.ordinality;

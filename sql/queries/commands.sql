-- One query per command of sql/migrations; each answers the JSON of Applied.
-- Those that a loop asks row by row wait 50 ms for a row that somebody else holds, for the others'
-- sake; callers wait as long as their session lets them (sql/session.py).

-- name: keep_fixes
-- $1 users, $2 latitudes, $3 longitudes, $4 accuracies, $5 times; in the order of their key, so that two
-- statements never wait for each other in a circle
insert into last_fixes as f (user_id, lat, lng, accuracy_m, fixed_at)
select distinct on (n.user_id) n.user_id, n.lat, n.lng, n.accuracy_m, n.fixed_at
from unnest(
    $1::uuid[], $2::double precision[], $3::double precision[], $4::double precision[], $5::timestamptz[]
) as n (user_id, lat, lng, accuracy_m, fixed_at)
order by n.user_id, n.fixed_at desc
on conflict (user_id) do update
set lat = excluded.lat, lng = excluded.lng, accuracy_m = excluded.accuracy_m,
    fixed_at = excluded.fixed_at, kept_at = excluded.kept_at
where f.fixed_at < excluded.fixed_at;

-- name: last_fixes
-- of $1
select
    f.user_id, f.lat, f.lng, f.accuracy_m, f.fixed_at,
    extract(epoch from hx_clock() - f.kept_at)::double precision as kept_for_s
from last_fixes as f where f.user_id = any($1::uuid[]);

-- name: claim_timers
-- Takes at most $1 due timers for $2 seconds, the longest due first, but none of $3 $4 (kind, subject)
-- and none that somebody holds.
with clock as materialized (select hx_clock() as at),
due as (
    select t.kind, t.subject, clock.at
    from clock inner join timers as t on t.due_at <= clock.at
    where (t.claimed_until is null or t.claimed_until <= clock.at)
        and not exists (
            select from unnest($3::text[], $4::uuid[]) as r (kind, subject)
            where r.kind = t.kind and r.subject = t.subject
        )
    order by t.due_at
    limit $1
    for no key update of t skip locked
),
claimed as (
    update timers as t set claimed_until = due.at + make_interval(secs => $2::double precision)
    from due
    where t.kind = due.kind and t.subject = due.subject
    returning
        t.kind, t.subject, t.due_at,
        extract(epoch from due.at - t.due_at)::double precision as lag_s
)
select kind, subject, lag_s from claimed order by due_at;

-- name: free_timer
-- for whoever comes next; one that somebody holds is free when its claim ends
update timers as t set claimed_until = null
from (
    select f.kind, f.subject from timers as f
    where f.kind = $1 and f.subject = $2
    for no key update skip locked
) as free
where t.kind = free.kind and t.subject = free.subject;

-- name: claim_settlements
-- Takes at most $1 due settlements for $2 seconds, the longest due first, but none of $3 and none that
-- somebody holds.
with clock as materialized (select hx_clock() as at),
due as (
    select s.id, clock.at
    from clock inner join settlements as s on s.state = 'PENDING' and s.due_at <= clock.at
    where (s.claimed_until is null or s.claimed_until <= clock.at)
        and s.id <> all($3::uuid[])
        and settlement_awaits_worker(s)
    order by s.due_at
    limit $1
    for no key update of s skip locked
),
claimed as (
    update settlements as s set claimed_until = due.at + make_interval(secs => $2::double precision)
    from due
    where s.id = due.id
    returning s.*
)
select
    s.id, s.escrow_id, s.kind, s.release_amount, s.fee_amount, s.refund_amount,
    s.transfer_reference, s.refund_reference, s.refund_done, s.claimed_until,
    coalesce(s.payment, e.stripe_payment_intent_id) as payment,
    t.assigned_hustler_id as hustler_id,
    p.account_id as payout_account_id
from claimed as s
inner join escrows as e on e.id = s.escrow_id
inner join tasks as t on t.id = e.task_id
left join payout_accounts as p on p.user_id = t.assigned_hustler_id and p.payouts_enabled
order by s.due_at;

-- name: keep_settlement
-- for $3 seconds more, where the claim $2 still stands; no row otherwise
update settlements set claimed_until = hx_clock() + make_interval(secs => $3::double precision)
where id = $1 and claimed_until = $2 and claimed_until > hx_clock()
returning claimed_until;

-- name: free_settlement
-- for whoever comes next; one that somebody holds is free when its claim ends
update settlements as s set claimed_until = null
from (
    select f.id from settlements as f
    where f.id = $1 and f.claimed_until = $2 and f.state <> 'DONE'
    for no key update skip locked
) as free
where s.id = free.id;

-- name: settlements_due
-- how many wait for the provider, claimed or not; a thousand says it all
select count(*)
from (
    select from settlements as s
    where s.state = 'PENDING' and s.due_at <= hx_clock() and settlement_awaits_worker(s)
    limit 1000
) as due;

-- name: open_payments
-- payments that were begun and are not booked: the oldest first
select e.id, e.amount, e.stripe_payment_intent_id as payment, t.poster_id
from escrows as e
inner join tasks as t on t.id = e.task_id
where e.state = 'PENDING' and e.stripe_payment_intent_id is not null
order by e.created_at
limit $1;

-- name: begun_legs
-- legs that the provider has begun and not finished
select s.id, l.leg, l.reference
from settlements as s
cross join lateral (
    values
    ('TRANSFER', case when not s.transfer_done then s.transfer_reference end),
    ('REFUND', case when not s.refund_done then s.refund_reference end)
) as l (leg, reference)
where s.state <> 'DONE' and l.reference is not null
order by s.created_at
limit $1;

-- name: code_generation
select generation from task_codes where task_id = $1 and kind = $2;

-- name: timer_failed
-- unless somebody else holds it: it is tried again then
update timers as t
set due_at = hx_clock() + interval '1 minute', claimed_until = null
from (
    select f.kind, f.subject from timers as f
    where f.kind = $1 and f.subject = $2
    for no key update skip locked
) as free
where t.kind = free.kind and t.subject = free.subject;

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

-- name: due_timers
select kind, subject, extract(epoch from hx_clock() - due_at)::double precision as lag_s
from timers where due_at <= hx_clock() order by due_at limit $1;

-- name: waiting_settlements
select
    s.id, s.escrow_id, s.kind, s.release_amount, s.fee_amount, s.refund_amount,
    s.transfer_reference, s.refund_reference, s.transfer_done, s.refund_done, s.attempts,
    coalesce(s.payment, e.stripe_payment_intent_id) as payment,
    t.assigned_hustler_id as hustler_id,
    p.account_id as payout_account_id
from settlements as s
inner join escrows as e on e.id = s.escrow_id
inner join tasks as t on t.id = e.task_id
left join payout_accounts as p on p.user_id = t.assigned_hustler_id and p.payouts_enabled
where s.state = 'PENDING' and s.due_at <= hx_clock()
    -- a leg that has begun is looked up, not called again; with every leg done the end is missing
    and (
        (s.release_amount > 0 and s.transfer_reference is null)
        or (s.refund_amount > 0 and s.refund_reference is null)
        or ((s.transfer_done or s.release_amount = 0) and (s.refund_done or s.refund_amount = 0))
    )
order by s.due_at
limit $1;

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
set due_at = hx_clock() + interval '1 minute'
from (
    select f.kind, f.subject from timers as f
    where f.kind = $1 and f.subject = $2
    for no key update skip locked
) as free
where t.kind = free.kind and t.subject = free.subject;

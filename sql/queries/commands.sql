-- One query per command of sql/migrations; each answers the JSON of Applied.
-- Those that a loop asks row by row wait 50 ms for a row that somebody else holds, for the others'
-- sake; callers wait as long as their session lets them (sql/session.py).

-- name: create_task
select create_task($1, $2::jsonb);

-- name: edit_task
select edit_task($1, $2, $3::jsonb, $4);

-- name: begin_funding
select begin_funding($1, $2);

-- name: note_payment
select note_payment($1, $2);

-- name: drop_payment
select drop_payment($1);

-- name: book_funding
select book_funding($1, $2, $3::jsonb);

-- name: accept_task
select accept_task($1, $2, $3);

-- name: respond_to_offer
select respond_to_offer($1, $2, $3, $4);

-- name: mark_arrived
select mark_arrived($1, $2, $3, $4, $5);

-- name: start_task
select start_task($1, $2, $3);

-- name: submit_proof
select submit_proof($1, $2, $3, $4);

-- name: submit_photo_proof
select submit_photo_proof($1, $2, $3::uuid[]);

-- name: approve_task
select approve_task($1, $2);

-- name: reject_task
select reject_task($1, $2, $3);

-- name: dispute_task
select dispute_task($1, $2, $3);

-- name: add_evidence
select add_evidence($1, $2, $3, $4::uuid[]);

-- name: propose_price
select propose_price($1, $2, $3);

-- name: answer_proposal
select answer_proposal($1, $2, $3, $4);

-- name: cancel_task
select cancel_task($1, $2, $3);

-- name: release_task
select release_task($1, $2, $3, $4::jsonb);

-- name: choose_after_broadcast
select choose_after_broadcast($1, $2, $3, $4);

-- name: go_live
select go_live($1, $2, $3);

-- name: end_live
select end_live($1, $2);

-- name: end_away
select end_away($1) from set_config('lock_timeout', '50ms', true);

-- name: end_impossible_session
select end_impossible_session($1);

-- name: keep_fix
insert into last_fixes as f (user_id, lat, lng, accuracy_m, fixed_at) values ($1, $2, $3, $4, $5)
on conflict (user_id) do update
set lat = excluded.lat, lng = excluded.lng, accuracy_m = excluded.accuracy_m,
    fixed_at = excluded.fixed_at, kept_at = excluded.kept_at
where f.fixed_at < excluded.fixed_at;

-- name: last_fix
select
    f.lat, f.lng, f.accuracy_m, f.fixed_at,
    extract(epoch from hx_clock() - f.kept_at)::double precision as kept_for_s
from last_fixes as f where f.user_id = $1;

-- name: fire_timer
-- a timer is worth less waiting: it comes again within a second
select fire_timer($1, $2) from set_config('lock_timeout', '20ms', true);

-- name: due_timers
select kind, subject, extract(epoch from hx_clock() - due_at)::double precision as lag_s
from timers where due_at <= hx_clock() order by due_at limit $1;

-- name: book_leg
select book_leg($1, $2, $3) from set_config('lock_timeout', '50ms', true);

-- name: note_leg
select note_leg($1, $2, $3) from set_config('lock_timeout', '50ms', true);

-- name: settlement_failed
select settlement_failed($1, $2) from set_config('lock_timeout', '50ms', true);

-- name: hold_settlement
select hold_settlement($1, $2) from set_config('lock_timeout', '50ms', true);

-- name: book_provider_event
select book_provider_event($1, $2, $3::jsonb, $4::jsonb);

-- name: set_payout_account
select set_payout_account($1, $2, $3, $4);

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

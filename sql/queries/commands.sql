-- One query per command of sql/migrations; each answers the JSON of Applied.

-- name: create_task
select create_task($1, $2::jsonb);

-- name: begin_funding
select begin_funding($1, $2);

-- name: book_funding
select book_funding($1, $2, $3::jsonb);

-- name: accept_task
select accept_task($1, $2, $3);

-- name: respond_to_offer
select respond_to_offer($1, $2, $3, $4);

-- name: mark_arrived
select mark_arrived($1, $2);

-- name: start_task
select start_task($1, $2, $3);

-- name: submit_proof
select submit_proof($1, $2, $3, $4);

-- name: approve_task
select approve_task($1, $2);

-- name: cancel_task
select cancel_task($1, $2, $3);

-- name: release_task
select release_task($1, $2, $3, $4::jsonb);

-- name: choose_after_broadcast
select choose_after_broadcast($1, $2, $3);

-- name: go_live
select go_live($1, $2, $3);

-- name: end_live
select end_live($1, $2);

-- name: end_away
select end_away($1);

-- name: fire_timer
select fire_timer($1, $2);

-- name: due_timers
select kind, subject, extract(epoch from hx_clock() - due_at)::double precision as lag_s
from timers where due_at <= hx_clock() order by due_at limit $1;

-- name: book_settlement
select book_settlement($1, $2);

-- name: waiting_settlements
select
    s.id, s.kind, s.amount, s.fee_amount, s.attempts,
    coalesce(s.payment, e.stripe_payment_intent_id) as payment,
    t.assigned_hustler_id as hustler_id
from settlements as s
inner join escrows as e on e.id = s.escrow_id
inner join tasks as t on t.id = e.task_id
where s.state = 'PENDING' and s.due_at <= hx_clock()
order by s.due_at
limit $1;

-- name: settlement_failed
update settlements
set
    attempts = attempts + 1,
    last_error = $2,
    due_at = hx_clock() + least(interval '1 second' * power(2, attempts), interval '10 minutes')
where id = $1 and state = 'PENDING';

-- name: code_generation
select generation from task_codes where task_id = $1 and kind = $2;

-- name: timer_failed
update timers set due_at = hx_clock() + interval '1 minute' where kind = $1 and subject = $2;

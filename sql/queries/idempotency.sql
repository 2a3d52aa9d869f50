-- Idempotency keys (contract: remembered 24 h per user and route, with a hash of the request).

-- name: claim_idempotency_key
-- The moment of the claim when the key is now the caller's: new, older than a day, or the same
-- request left in flight by an owner that died more than 60 s ago. No row otherwise.
insert into idempotency_keys as k (user_id, route, key, request_hash, state, created_at)
values ($1, $2, $3, $4, 'IN_FLIGHT', hx_clock())
on conflict (user_id, route, key) do update
set
    request_hash = excluded.request_hash,
    state = 'IN_FLIGHT',
    status = null,
    body = null,
    content_type = null,
    created_at = excluded.created_at
where k.created_at < excluded.created_at - interval '24 hours'
    or (
        k.state = 'IN_FLIGHT'
        and k.request_hash = excluded.request_hash
        and k.created_at < excluded.created_at - interval '60 seconds'
    )
returning k.created_at;

-- name: idempotency_key
select k.request_hash, k.state, k.status, k.body, k.content_type
from idempotency_keys as k
where k.user_id = $1 and k.route = $2 and k.key = $3;

-- name: answer_idempotency_key
-- Only the owner of the claim answers: one that was taken over meanwhile changes nothing.
update idempotency_keys
set state = 'ANSWERED', status = $5, body = $6, content_type = $7
where user_id = $1 and route = $2 and key = $3 and created_at = $4 and state = 'IN_FLIGHT';

-- name: release_idempotency_key
delete from idempotency_keys
where user_id = $1 and route = $2 and key = $3 and created_at = $4 and state = 'IN_FLIGHT';

-- name: sweep_idempotency_keys
-- How many keys older than a day went: at most $1, and none that somebody holds.
with gone as (
    delete from idempotency_keys
    where ctid in (
        select k.ctid from idempotency_keys as k
        where k.created_at < hx_clock() - interval '24 hours'
        limit $1
        for update skip locked
    )
    returning 1
)
select count(*) from gone;

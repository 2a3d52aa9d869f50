-- What a broadcaster asks (broadcast/wave_store.py). The rules stand in sql/schema/matching/.

-- name: wave_pulse
select wave_pulse($1, $2);

-- name: wave_broadcasts
select wave_broadcasts($1);

-- name: wave_endings
select wave_endings($1);

-- The verdicts as columns: one row of arrays is decoded far faster than a row per pair.
-- name: wave_candidates
select
    array_agg(v.n) as n,
    array_agg(v.verdict) as verdict,
    array_agg(v.open_offers) as open_offers,
    array_agg(v.trust_tier) as trust_tier,
    array_agg(v.completion_rate) as completion_rate,
    array_agg(v.approval_rate) as approval_rate,
    array_agg(v.category_preferred) as category_preferred,
    array_agg(v.category_count) as category_count,
    array_agg(v.minimum_price_cents) as minimum_price_cents,
    array_agg(v.available_hours) as available_hours
from wave_verdicts($1, $2, $3) as v;

-- name: wave_make_offers
select make_offers($1, $2, $3, $4, $5, $6);

-- name: wave_sent
select offers_sent($1, $2, $3);

-- name: wave_unsent
select unsent_offers($1, $2, $3);

-- What a broadcaster asks (broadcast/wave_store.py). The rules stand in sql/schema/matching/.

-- name: wave_candidates
select
    array_agg(v.n) as n,
    array_agg(v.result) as result,
    array_agg(v.open_offers) as open_offers,
    array_agg(v.trust_tier) as trust_tier,
    array_agg(v.completion_rate) as completion_rate,
    array_agg(v.approval_rate) as approval_rate,
    array_agg(v.category_preferred) as category_preferred,
    array_agg(v.category_count) as category_count,
    array_agg(v.minimum_price_cents) as minimum_price_cents,
    array_agg(v.available_hours) as available_hours
from wave_eligibility($1, $2, $3) as v;

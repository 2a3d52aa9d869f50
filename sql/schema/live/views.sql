-- LIVE mode as its viewers see it, and how long an accept took.

-- Time to accept (instant_execution_status: the success metric is a median of at most 60 s).
create or replace view time_to_accept as
select
    b.task_id,
    b.id as broadcast_id,
    b.started_at,
    b.state,
    b.accepted_by,
    case when b.state = 'ACCEPTED' then extract(epoch from b.ended_at - b.started_at) end
        as accept_s,
    extract(epoch from f.first_sent_at - b.started_at) as first_card_s,
    extract(epoch from f.answered_after) as human_s,
    f.hustlers_notified
from live_broadcasts as b
left join lateral (
    select
        min(o.sent_at) as first_sent_at,
        count(*) as hustlers_notified,
        min(o.responded_at - o.sent_at) filter (where o.hustler_id = b.accepted_by) as answered_after
    from offers as o where o.broadcast_id = b.id
) as f on true;
comment on view time_to_accept is
'One row per broadcast: seconds from funded to accepted, to the first card, and the winner''s own.';

create or replace view time_to_accept_daily as
select
    date_trunc('day', t.started_at) as day,
    count(*) filter (where t.state <> 'ACTIVE') as broadcasts,
    count(t.accept_s) as accepted,
    percentile_cont(0.5) within group (order by t.accept_s) as median_s,
    percentile_cont(0.95) within group (order by t.accept_s) as p95_s,
    percentile_cont(0.5) within group (order by t.first_card_s) as median_first_card_s,
    percentile_cont(0.5) within group (order by t.human_s) as median_human_s,
    1 - count(t.accept_s)::double precision / nullif(count(*) filter (where t.state <> 'ACTIVE'), 0)
        as no_accept_rate
from time_to_accept as t
group by 1;
comment on view time_to_accept_daily is
'Per day (UTC): median and p95 time to accept in seconds, and the share nobody accepted.';

create or replace function broadcast_view(b live_broadcasts) returns jsonb
language plpgsql stable
as $$
begin
    return jsonb_build_object(
        'id', b.id,
        'state', b.state,
        'started_at', b.started_at,
        'expires_at', b.expires_at,
        'radius_miles', broadcast_radius_miles(b, hx_clock()),
        'next_expansion_at', broadcast_next_expansion_at(b, hx_clock()),
        'hustlers_notified', (select count(*) from offers as o where o.broadcast_id = b.id)
    );
end;
$$;

create or replace function live_view(s live_status) returns jsonb
language sql stable
return jsonb_strip_nulls(jsonb_build_object(
    'state', coalesce(live_state(s, hx_clock()), 'OFF'),
    'reason', live_state_reason(s, hx_clock()),
    'ends_at', live_state_ends_at(s, hx_clock()),
    'session_id', s.session_id,
    'since', s.active_since,
    'radius_miles', s.radius_miles,
    'categories', s.categories
));

-- The open offers of a hustler, best first.
create or replace function offers_view(p_hustler uuid) returns jsonb
language plpgsql stable
as $$
begin
    return coalesce((
        select jsonb_agg(offer_card(o) order by o.matching_score desc, o.distance_miles, o.offered_at)
        from open_offers(array[p_hustler], hx_clock()) as o
    ), '[]');
end;
$$;

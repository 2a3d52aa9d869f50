-- Counts what is over for the figures, once among all processes.

-- How the broadcasts went that ended since anybody asked last and are p_settled old; times in seconds,
-- null where nothing happened. Who asks at the same time waits for a moment and gets the rest; who asks
-- first of all, none.
create or replace function count_ended_broadcasts(p_settled interval)
returns table (
    state text, first_card_s double precision, accept_s double precision, human_s double precision
)
language plpgsql
as $$
declare
    since timestamptz;
    past timestamptz;
begin
    select c.until into since from broadcasts_counted as c for no key update;
    past := greatest(since, hx_clock() - p_settled);
    update broadcasts_counted set until = past;
    return query
    select
        b.state, a.first_card_s::double precision, a.accept_s::double precision,
        a.human_s::double precision
    from live_broadcasts as b
    inner join time_to_accept as a on a.broadcast_id = b.id
    where isfinite(since) and b.ended_at > since and b.ended_at <= past
    order by b.ended_at;
end;
$$;

-- Which partitions there should be: a month each, in UTC, named after it (ADR 0024).

-- For how long a client may be away and still read on: older cursors get RESYNC (TOO_OLD).
create or replace function events_kept_for() returns interval
language sql immutable return interval '90 days';

create or replace function partition_name(p_parent text, p_month date) returns text
language sql immutable
return p_parent || to_char(p_month, '_YYYY_MM');

create or replace function month_start(p_month date) returns timestamptz
language sql immutable
return p_month::timestamp at time zone 'UTC';

create or replace function month_end(p_month date) returns timestamptz
language sql immutable
return (p_month + interval '1 month') at time zone 'UTC';

create or replace function month_of(at timestamptz) returns date
language sql immutable
return date_trunc('month', at at time zone 'UTC')::date;

-- What is not there yet: this month and the next two, and every month up to then of which the default
-- partition holds rows. An id that is no time of the last ten years is none of ours.
create or replace function partitions_due() returns table (parent text, month date)
language sql stable security definer
set search_path = public, pg_temp
begin atomic
    with clock as materialized (select hx_clock() as at)

    select m.parent, m.month
    from clock
    cross join lateral (
        select p.parent, month_of(clock.at + make_interval(months => ahead)) as month
        from unnest(array['offers', 'user_events']) as p (parent)
        cross join generate_series(0, 2) as ahead
        union
        select 'offers', month_of(id_time(o.broadcast_id)) from partitions.offers_default as o
        union
        select 'user_events', month_of(e.at) from partitions.user_events_default as e
    ) as m
    where to_regclass('partitions.' || partition_name(m.parent, m.month)) is null
        and m.month between month_of(clock.at - interval '10 years')
        and month_of(clock.at + interval '2 months')
    order by m.month, m.parent;
end;

-- How many rows wait in each default partition.
create or replace function default_partition_rows() returns table (parent text, waiting bigint)
language sql stable security definer
set search_path = public, pg_temp
begin atomic
    select 'offers', count(*) from partitions.offers_default
    union all
    select 'user_events', count(*) from partitions.user_events_default;
end;

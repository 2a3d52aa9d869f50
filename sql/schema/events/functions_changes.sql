-- The net under delivery: what committed since a transaction horizon (ADR 0027).

-- The slot of `changes` that a moment's rows are written to. Three: today's, yesterday's, and an empty
-- one for tomorrow.
create or replace function changes_slot(at timestamptz) returns smallint
language sql immutable
return (floor(extract(epoch from at) / 86400)::bigint % 3)::smallint;

-- Behind so many transactions comparing everything is cheaper than reading what changed, and the answer
-- stays of a bounded size.
create or replace function changes_transactions_max() returns bigint
language sql immutable return 100000;

-- What a transaction number belongs to: a server, its timeline, and its time since the last crash (by
-- which the statistics are reset). Another server, a promoted standby and a restored backup number
-- their transactions anew; after a crash numbers that nobody had written down are given again.
create or replace function transaction_numbering() returns text
language sql stable
return (
    select concat_ws(
        ' ',
        s.system_identifier,
        case
            when pg_is_in_recovery() then 'standby'
            else left(pg_walfile_name(pg_current_wal_lsn()), 8)
        end,
        extract(epoch from b.stats_reset)
    )
    from pg_control_system() as s cross join pg_stat_bgwriter as b
);

-- The least transaction of this database that a snapshot sees at work; the snapshot's end where none is.
-- One of another database of the server writes nothing here: it is left out where its lock on itself
-- shows whose it is. What ended meanwhile shows none, and counts once more.
create or replace function least_at_work(p_seen pg_snapshot) returns xid8
language sql stable
begin atomic
    with others as materialized (
        select l.transactionid as xid
        from pg_locks as l inner join pg_stat_activity as a on a.pid = l.pid
        where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted
            and a.datid <> (select d.oid from pg_database as d where d.datname = current_database())
    )

    select coalesce(min(w.xid), pg_snapshot_xmax(p_seen))
    from pg_snapshot_xip(p_seen) as w (xid)
    where not exists (select from others as o where o.xid = w.xid::xid);
end;

-- Everything of transactions from p_horizon on that have ended by now, each once:
--   horizon, numbering   what to ask with the next time
--   next                 the next transaction number: equal to the horizon when nothing is held back
--   lost                 whether more may have changed than is said: at the beginning (null), and where the
--                        horizon is of another numbering or older than what is kept; nothing else is said
--   users                [user, last seq] of each with new events
--   suspended            users whose account is shut now
--   revoked              [user, since when their tokens are refused] of each whose tokens were
--   hustlers             users to be read anew before work is offered to them
--   broadcasts           [id, task, state] of each that began or ended
--
-- Who was shut out is told as soon as it is seen, and once more by every call until the horizon has
-- passed it: no transaction that takes long keeps a thief in.
--
-- A transaction below the horizon has ended, so what it committed is seen; one that began earlier and
-- ends later is not below it, and is found by a later call. Each statement has a newer
-- snapshot than the horizon; whether rows were emptied away is asked last, since that is not undone for
-- older snapshots.
create or replace function changes_since(p_horizon xid8, p_numbering text) returns jsonb
language plpgsql
-- Index look-ups, whatever the statistics say: the tables are read for their newest rows alone.
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = 'off'
as $$
declare
    now_at pg_snapshot := pg_current_snapshot();
    horizon xid8 := least_at_work(now_at);
    numbering text := transaction_numbering();
    lost boolean := coalesce(
        numbering <> p_numbering
        or p_horizon > horizon
        or horizon::text::numeric - p_horizon::text::numeric > changes_transactions_max(),
        true
    );
    answer jsonb := jsonb_build_object(
        'now', hx_clock(),
        'horizon', horizon::text::numeric,
        'next', pg_snapshot_xmax(now_at)::text::numeric,
        'numbering', numbering
    );
    users jsonb;
    suspended uuid[];
    revoked uuid[];
    hustlers uuid[];
    broadcasts uuid[];
begin
    if not lost and p_horizon < horizon then
        select jsonb_agg(jsonb_build_array(n.user_id, n.last_seq)) into users
        from (
            select e.user_id, max(e.seq) as last_seq from user_events as e
            where e.xid >= p_horizon and e.xid < horizon
            group by e.user_id
        ) as n;
        select
            array_agg(distinct c.id) filter (where c.kind = 'HUSTLER'),
            array_agg(distinct c.id) filter (where c.kind = 'BROADCAST')
        into hustlers, broadcasts
        from changes as c
        where c.xid >= p_horizon and c.xid < horizon;
    end if;
    if not lost then
        select
            array_agg(distinct c.id) filter (where c.kind = 'SUSPENDED'),
            array_agg(distinct c.id) filter (where c.kind = 'REVOKED')
        into suspended, revoked
        from changes as c
        where c.xid >= p_horizon and c.kind in ('SUSPENDED', 'REVOKED');
        lost := p_horizon <= (select e.xid from changes_emptied as e);
    end if;
    if lost then
        return answer || '{"lost": true}';
    end if;
    return jsonb_strip_nulls(answer || jsonb_build_object(
        'lost', false,
        'users', users,
        'suspended', (
            select jsonb_agg(u.id) from users as u
            where u.id = any(suspended) and u.account_status = 'SUSPENDED'
        ),
        'revoked', (
            select jsonb_agg(jsonb_build_array(u.id, wire_time(u.tokens_revoked_at))) from users as u
            where u.id = any(revoked) and u.tokens_revoked_at is not null
        ),
        'hustlers', to_jsonb(hustlers),
        'broadcasts', (
            select jsonb_agg(jsonb_build_array(b.id, b.task_id, b.state)) from live_broadcasts as b
            where b.id = any(broadcasts)
        )
    ));
end;
$$;

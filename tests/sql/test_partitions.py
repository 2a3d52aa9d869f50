"""Tables cut by month: made ahead, caught where they were not, read in part, dropped when over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from engine.kernel.ids import UserId
from engine.kernel.partitions import PartitionKeeper
from sql.invariants import verify_on
from tests.support.market import Market
from tests.support.servers import TestDatabase

MONTHS = 24
EACH_MONTH = 30

APPEND = (
    "select append_events((select jsonb_agg(hx_event($1, 'X', '{}')) from generate_series(1, $2)))"
)
ITEMS = "select subject from admin_items where kind = 'PARTITION_MISSING' and closed_at is null"


async def partitions(market: Market, table: str) -> list[str]:
    """Their names, but for the default one."""
    rows = await market.owner.fetch(
        "select c.relname from pg_inherits as i inner join pg_class as c on c.oid = i.inhrelid"
        " where i.inhparent = $1::text::regclass and c.relname !~ 'default' order by 1",
        table,
    )
    return [row["relname"] for row in rows]


async def month(market: Market, ahead: int = 0) -> str:
    """A month beside the present one, as partitions are named."""
    name: str = await market.app.fetchval(
        "select to_char(month_of(hx_clock()) + make_interval(months => $1), '_YYYY_MM')", ahead
    )
    return name


async def leap(market: Market, interval: str) -> None:
    """Moves the clock, and nobody makes partitions."""
    await market.owner.execute(
        "insert into clock_offset (amount) values ($1::text::interval)"
        " on conflict (singleton) do update set amount = clock_offset.amount + excluded.amount",
        interval,
    )


async def offers_to(market: Market, hustlers: Iterable[UserId]) -> UUID:
    """A broadcast that offered a task to all of them, and is over."""
    task = await market.funded()
    for hustler in hustlers:
        await market.offer(task, hustler)
    broadcast = await market.broadcast_of(task)
    await market.commands.tasks.cancel(await market.poster_of(task), task, None)
    return broadcast


@pytest.fixture
def keeper(own_market: Market) -> PartitionKeeper:
    """The job, as the service runs it."""
    return PartitionKeeper(own_market.store)


# ── Made ahead, and dropped ──────────────────────────────────────────────────────────────────────


async def test_this_month_and_the_next_two_are_there_from_the_beginning(market: Market) -> None:
    """A database that was just migrated waits for no job."""
    ahead = [await month(market, n) for n in range(3)]
    for table in ("offers", "user_events"):
        assert [f"{table}{name}" for name in ahead] == (await partitions(market, table))[-3:]


async def test_two_years_are_kept_trimmed_and_still_answered(
    own_market: Market, keeper: PartitionKeeper
) -> None:
    """Offers stay for good; of events the last 90 days do, and the counter goes on from where it was."""
    market = own_market
    reader = await market.user("poster")
    hustlers = [await market.user("hustler") for _ in range(3)]
    broadcasts = []
    for _ in range(MONTHS):
        broadcasts.append(await offers_to(market, hustlers))
        await market.app.fetchval(APPEND, reader, EACH_MONTH)
        await leap(market, "1 month")
        await keeper.keep()
        assert await market.app.fetch(ITEMS) == []

    assert len(await partitions(market, "offers")) == MONTHS + 3
    offered = await market.app.fetch("select broadcast_id, count(*) as n from offers group by 1")
    assert {row["broadcast_id"]: row["n"] for row in offered} == dict.fromkeys(broadcasts, 3)

    kept = await partitions(market, "user_events")
    assert kept[-3:] == [f"user_events{await month(market, n)}" for n in range(3)]
    assert 6 <= len(kept) <= 7  # with 90 days behind, which touch three or four months
    horizon = await market.app.fetchval(
        "select min(seq) from user_events where user_id = $1", reader
    )
    assert (MONTHS - 4) * EACH_MONTH < horizon <= (MONTHS - 2) * EACH_MONTH
    youngest_gone = await market.app.fetchval("select hx_clock() - interval '90 days'")
    assert await market.app.fetchval("select min(at) from user_events") < youngest_gone + timedelta(
        31
    )
    log = await market.queries.events.after(reader, horizon - 1)
    assert [event.seq for event in log.events][:2] == [horizon, horizon + 1]
    assert log.last_seq == MONTHS * EACH_MONTH
    assert await broken(market) == []


async def broken(market: Market) -> list[str]:
    """Names of the invariants that do not hold."""
    async with market.app.transaction(isolation="repeatable_read", readonly=True):
        return [v.check.name async for v in verify_on(market.app) if not v.agrees]


# ── The default partition ────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def two_writers(database: TestDatabase) -> AsyncIterator[list[asyncpg.Connection]]:
    """Connections of the service."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(2):
            connection = await asyncpg.connect(database.dsn)
            stack.push_async_callback(connection.close)
            opened.append(connection)
        yield opened


async def test_what_no_partition_is_ready_for_is_kept_told_and_moved(
    own_market: Market, keeper: PartitionKeeper
) -> None:
    """An item for each table, until the job has made the month; then every row is in it."""
    market = own_market
    await leap(market, "1 year")
    reader, hustler = await market.user("poster"), await market.live_hustler()
    await market.app.fetchval(APPEND, reader, 3)
    broadcast = await offers_to(market, [hustler])
    assert {row["subject"] for row in await market.app.fetch(ITEMS)} == {"offers", "user_events"}
    await keeper.keep()
    assert await market.app.fetch(ITEMS) == []
    name = await month(market)
    where = "select tableoid::regclass::text from {} where {} = $1"
    for table, key, value in (
        ("offers", "broadcast_id", broadcast),
        ("user_events", "user_id", reader),
    ):
        rows = await market.owner.fetch(where.format(table, key), value)
        assert {row[0] for row in rows} == {f"partitions.{table}{name}"}
    assert await broken(market) == []


async def test_two_writers_lose_nothing_while_a_month_is_made_beneath_them(
    own_market: Market, fresh_database: TestDatabase, keeper: PartitionKeeper
) -> None:
    """Neither is refused; what one has not committed holds the job up, and is moved by its next round."""
    market = own_market
    await leap(market, "1 year")
    readers = [await market.user("poster") for _ in range(2)]
    made = f"user_events{await month(market)}"
    async with two_writers(fresh_database) as writers:
        open_one = writers[0].transaction()
        await open_one.start()
        await writers[0].fetchval(APPEND, readers[0], 1)
        await writers[1].fetchval(APPEND, readers[1], 1)  # does not wait for the first one's item
        await keeper.keep()
        assert made not in await partitions(market, "user_events")
        await open_one.commit()

        async def writes(writer: asyncpg.Connection, reader: UserId) -> None:
            for _ in range(60):
                await writer.fetchval(APPEND, reader, 1)

        async with asyncio.TaskGroup() as group:
            written = [
                group.create_task(writes(writer, reader))
                for writer, reader in zip(writers, readers, strict=True)
            ]
            while made not in await partitions(market, "user_events"):
                await keeper.keep()
            await asyncio.gather(*written)
    rows = await market.owner.fetch(
        "select tableoid::regclass::text as part, count(*) as n from user_events"
        " where user_id = any($1) group by 1",
        readers,
    )
    assert {row["part"]: row["n"] for row in rows} == {f"partitions.{made}": 2 * 61}
    assert await broken(market) == []


async def test_several_processes_make_each_month_once(
    own_market: Market, fresh_database: TestDatabase
) -> None:
    """One works, the others find nothing to do or that it is done."""
    await leap(own_market, "1 year")
    async with two_writers(fresh_database) as processes:
        made = await asyncio.gather(*(p.fetchval("select ensure_partitions()") for p in processes))
        assert sorted(len(json.loads(answer)) for answer in made) == [0, 6]
        gone = await asyncio.gather(*(p.fetchval("select drop_old_events()") for p in processes))
        assert len(set().union(*(json.loads(answer) for answer in gone))) == 3


# ── Read in part ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def aged(own_market: Market) -> Market:
    """A market in which half a year has left its partitions."""
    for _ in range(6):
        await own_market.advance("1 month")
    return own_market


async def touched(market: Market, statement: str, *args: object) -> set[str]:
    """The partitions that a statement looked into, after its plans have become generic ones."""
    async with market.app.transaction():
        for _ in range(7):
            await market.app.fetch(statement, *args)
        before = await _scans(market)
        await market.app.fetch(statement, *args)
        after = await _scans(market)
    return {name for name, scans in after.items() if scans > before[name]}


async def _scans(market: Market) -> dict[str, int]:
    rows = await market.app.fetch(
        "select relname, seq_scan + coalesce(idx_scan, 0) as scans from pg_stat_xact_user_tables"
        " where schemaname = 'partitions'"
    )
    return {row["relname"]: row["scans"] for row in rows}


async def test_what_is_asked_of_one_broadcast_looks_into_one_month(aged: Market) -> None:
    """How many were told, its offers, what was sent, an answer, an accept."""
    task = await aged.funded()
    hustler = await aged.offered(task)
    broadcast = await aged.broadcast_of(task)
    this = {f"offers{await month(aged)}"}
    for statement, *args in (
        ("select broadcast_view(b) from live_broadcasts as b where b.id = $1", broadcast),
        ("select * from offers where broadcast_id = $1 and hustler_id = $2", broadcast, hustler),
        ("select offers_sent(array[$1::uuid], array[$2::uuid], array[0.0])", broadcast, hustler),
        ("select hustlers from offered_hustlers(array[$1::uuid])", broadcast),
        ("select respond_to_offer($2, $1, 'SKIP', null)", broadcast, hustler),
    ):
        assert await touched(aged, statement, *args) == this, statement
    async with aged.app.transaction():
        before = await _scans(aged)
        await aged.app.fetchval("select accept_task($1, $2, null)", hustler, task)
        after = await _scans(aged)
    offers = {name for name, n in after.items() if n > before[name] and "offers" in name}
    assert offers == this


async def test_open_offers_are_looked_for_between_the_running_broadcasts(aged: Market) -> None:
    """Up to the last one: no other month, however much a hustler was offered then."""
    hustler = await aged.live_hustler()
    task = await aged.funded()
    await aged.offer(task, hustler)
    broadcast = await aged.broadcast_of(task)
    this = {f"offers{await month(aged)}"}
    for statement, *args in (
        ("select * from open_offers(array[$1::uuid], hx_clock())", hustler),
        ("select offers_view($1)", hustler),
        ("select snapshots(array[$1::uuid])", hustler),
        (
            "select * from wave_eligibility(array[$1::uuid], array[$2::uuid], array[1.0])",
            broadcast,
            hustler,
        ),
    ):
        assert await touched(aged, statement, *args) == this, statement


async def test_a_log_is_read_from_the_months_that_are_kept(aged: Market) -> None:
    """By its index alone: one descent in each of the few partitions there are."""
    reader = await aged.user("poster")
    await aged.app.fetchval(APPEND, reader, 3)
    await aged.owner.fetchval("select drop_old_events()")
    live = {*await partitions(aged, "user_events"), "user_events_default"}
    assert len(live) <= 8
    plan = await explained(
        aged,
        "select * from user_events where user_id = $1 and seq > $2 order by seq limit 200",
        reader,
    )
    assert plan
    assert {node["Node Type"] for node in plan} == {"Index Scan"}
    assert {node["Relation Name"] for node in plan} <= live


async def explained(market: Market, query: str, reader: UserId) -> list[dict[str, str]]:
    """The scans of a query's generic plan; a few rows would be read whole, were it not forbidden."""
    async with market.app.transaction():
        await market.app.execute("set local plan_cache_mode = force_generic_plan")
        await market.app.execute("set local enable_seqscan = off")
        await market.app.execute(f"prepare asked (uuid, bigint) as {query}")
        text = await market.app.fetchval(
            f"explain (format json, costs off) execute asked ('{reader}', 0)"
        )
        await market.app.execute("deallocate asked")

    def scans(node: dict[str, object]) -> list[dict[str, str]]:
        below = node.get("Plans", [])
        assert isinstance(below, list)
        own = [node] if "Relation Name" in node else []
        return [*own, *(scan for child in below for scan in scans(child))]  # type: ignore[list-item]

    return scans(json.loads(text)[0]["Plan"])

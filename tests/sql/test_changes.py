"""What changed since a horizon: nothing that committed is missed, whatever overlaps it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from engine.kernel.ids import UserId
from engine.kernel.partitions import PartitionKeeper
from tests.support.market import Market
from tests.support.servers import RunServers, TestDatabase

APPEND = "select append_events(jsonb_build_array(hx_event($1, 'X', '{}')))"
NOTHING: dict[str, Any] = {"lost": False}

Connect = Callable[[], Awaitable[asyncpg.Connection]]


class Reader:
    """Asks what changed since it last asked."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.horizon: int | None = None
        self.numbering: str | None = None
        self.next = 0

    async def ask(self) -> dict[str, Any]:
        """What changed, without how to ask on."""
        answer: dict[str, Any] = json.loads(
            await self._connection.fetchval(
                "select changes_since($1, $2)", self.horizon, self.numbering
            )
        )
        del answer["now"]
        self.horizon, self.numbering = answer.pop("horizon"), answer.pop("numbering")
        self.next = answer.pop("next")
        return answer


@pytest.fixture
async def connect(fresh_database: TestDatabase) -> AsyncIterator[Connect]:
    """Opens connections of the owner, who may write everything; closed after the test."""
    async with AsyncExitStack() as stack:

        async def opened() -> asyncpg.Connection:
            connection = await asyncpg.connect(fresh_database.owner_dsn)
            stack.push_async_callback(connection.close)
            return connection

        yield opened


@pytest.fixture
async def reader(own_market: Market) -> Reader:
    """A reader as the service, who has begun."""
    reader = Reader(own_market.app)
    assert await reader.ask() == {"lost": True}
    return reader


async def settled(reader: Reader, *, at_least: int = 0) -> dict[str, Any]:
    """What is told until the horizon has passed a transaction; lists of several calls joined."""
    gathered: dict[str, Any] = {"lost": False}
    while True:
        for key, found in (await reader.ask()).items():
            gathered[key] = (
                gathered[key] + found if isinstance(found, list) and key in gathered else found
            )
        assert reader.horizon is not None
        if reader.horizon > at_least:
            return gathered
        await asyncio.sleep(0.005)


async def last_xid(market: Market) -> int:
    """A transaction number that everything committed so far is below."""
    return int(await market.owner.fetchval("select pg_current_xact_id()::text"))


async def up_to_now(market: Market, reader: Reader) -> dict[str, Any]:
    """Everything that was committed before this call."""
    return await settled(reader, at_least=await last_xid(market))


async def test_each_change_is_told_once_and_only_it(own_market: Market, reader: Reader) -> None:
    """Events with the last number, hustlers, broadcasts as they stand; then nothing."""
    market = own_market
    task = await market.funded()
    hustler, other = await market.offered(task), await market.user("hustler")
    broadcast = await market.broadcast_of(task)
    poster = await market.poster_of(task)
    await up_to_now(market, reader)
    assert await up_to_now(market, reader) == NOTHING

    await market.app.fetchval(APPEND, other)
    await market.app.fetchval(APPEND, other)
    assert await up_to_now(market, reader) == {"lost": False, "users": [[str(other), 2]]}

    await market.commands.live.accept(hustler, task)
    found = await up_to_now(market, reader)
    assert found.pop("hustlers") == [str(hustler)]
    assert found.pop("broadcasts") == [[str(broadcast), str(task), "ACCEPTED"]]
    assert {user for user, _ in found.pop("users")} == {str(hustler), str(poster)}
    assert found == NOTHING
    assert await up_to_now(market, reader) == NOTHING


async def test_an_account_is_told_as_shut_while_it_is(own_market: Market, reader: Reader) -> None:
    """Whoever was reinstated since is none to be closed."""
    market = own_market
    shut, open_again = await market.user("poster"), await market.user("poster")
    await up_to_now(market, reader)
    status = "update users set account_status = $2 where id = $1"
    await market.owner.execute(status, shut, "SUSPENDED")
    await market.owner.execute(status, open_again, "SUSPENDED")
    await market.owner.execute(status, open_again, "ACTIVE")
    assert set((await up_to_now(market, reader))["suspended"]) == {str(shut)}


async def test_who_is_shut_out_is_told_though_a_transaction_takes_long(
    own_market: Market, reader: Reader, connect: Connect
) -> None:
    """It holds the horizon back, and everything else with it."""
    market = own_market
    shut, revoked, other = [await market.user("poster") for _ in range(3)]
    await up_to_now(market, reader)
    slow = await connect()
    async with slow.transaction():
        await slow.execute("select pg_current_xact_id()")
        await market.owner.execute(
            "update users set account_status = 'SUSPENDED' where id = $1", shut
        )
        at = await market.owner.fetchval(
            "update users set tokens_revoked_at = now() where id = $1 returning wire_time(now())",
            revoked,
        )
        await market.app.fetchval(APPEND, other)
        found = await reader.ask()
        assert found["suspended"] == [str(shut)]
        assert found["revoked"] == [[str(revoked), at]]
        assert "users" not in found
    assert {"suspended", "revoked", "users"} <= (await up_to_now(market, reader)).keys()
    assert await up_to_now(market, reader) == NOTHING


async def test_what_began_earlier_and_ends_later_is_not_missed(
    own_market: Market, reader: Reader, connect: Connect
) -> None:
    """It holds the horizon back, so what overlaps it comes after it; what is undone never comes."""
    market = own_market
    early, late, undone = [await market.user("poster") for _ in range(3)]
    await up_to_now(market, reader)
    one, two = await connect(), await connect()
    first, failing = one.transaction(), two.transaction()
    await first.start()
    await one.fetchval(APPEND, early)
    await failing.start()
    await two.fetchval(APPEND, undone)
    await market.app.fetchval(APPEND, late)
    assert await reader.ask() == NOTHING
    assert reader.horizon is not None
    assert reader.horizon < reader.next
    await failing.rollback()
    assert await reader.ask() == NOTHING
    await first.commit()
    found = await up_to_now(market, reader)
    assert {user for user, _ in found["users"]} == {str(early), str(late)}


async def test_who_writes_in_another_database_holds_nothing_back(
    own_market: Market, reader: Reader, run_servers: RunServers
) -> None:
    """However long: it changes nothing here."""
    market = own_market
    user = await market.user("poster")
    await up_to_now(market, reader)
    elsewhere = await asyncpg.connect(run_servers.superuser_dsn)
    try:
        async with elsewhere.transaction():
            held = int(await elsewhere.fetchval("select pg_current_xact_id()::text"))
            await market.app.fetchval(APPEND, user)
            found = await up_to_now(market, reader)
            assert found == {"lost": False, "users": [[str(user), 1]]}
            assert reader.horizon is not None
            assert reader.horizon > held
    finally:
        await elsewhere.close()


async def test_many_that_overlap_are_all_told(
    own_market: Market, reader: Reader, connect: Connect
) -> None:
    """Transactions of random length on several connections, some undone, while somebody asks."""
    market = own_market
    random = Random(7)
    users = [await market.user("poster") for _ in range(6)]
    seen: dict[str, int] = {}
    committed: dict[str, int] = {str(user): 0 for user in users}

    async def writes(user: UserId) -> None:
        connection = await connect()
        for _ in range(15):
            transaction = connection.transaction()
            await transaction.start()
            await connection.fetchval(APPEND, user)
            await asyncio.sleep(random.random() * 0.01)
            if random.random() < 0.2:
                await transaction.rollback()
            else:
                await transaction.commit()
                committed[str(user)] += 1

    def take(found: dict[str, Any]) -> None:
        assert not found["lost"]
        for user, seq in found.get("users", ()):
            seen[user] = max(seen.get(user, 0), seq)

    writing = asyncio.gather(*map(writes, users))
    while not writing.done():
        take(await reader.ask())
        await asyncio.sleep(0.002)
    await writing
    take(await up_to_now(market, reader))
    assert seen == committed


@pytest.mark.parametrize("where", ["in the future", "too long ago", "of another server"])
async def test_a_horizon_of_elsewhere_is_lost(
    own_market: Market, reader: Reader, where: str
) -> None:
    """Then more may have changed than can be told, and asking goes on from the present one."""
    await up_to_now(own_market, reader)
    assert reader.horizon is not None
    if where == "in the future":
        reader.horizon += 1_000_000
    elif where == "too long ago":
        await own_market.owner.execute(
            "create or replace function changes_transactions_max() returns bigint"
            " language sql immutable return 3"
        )
        for _ in range(5):
            await last_xid(own_market)
        await settled(Reader(own_market.app), at_least=await last_xid(own_market))
    else:
        reader.numbering = f"{reader.numbering}0"
    assert await reader.ask() == {"lost": True}
    assert await reader.ask() == NOTHING


async def test_changes_are_kept_for_a_day_and_lost_for_who_comes_later(
    own_market: Market, reader: Reader
) -> None:
    """A day later they are there; when the next day's place is made, an old horizon is lost."""
    market = own_market
    keeper = PartitionKeeper(market.store)
    hustler = await market.user("hustler")
    await up_to_now(market, reader)
    late = Reader(market.app)
    late.horizon, late.numbering = reader.horizon, reader.numbering
    await market.owner.execute("update users set trust_tier = 3 where id = $1", hustler)
    for _ in range(2):
        await keeper.keep()
        again = Reader(market.app)
        again.horizon, again.numbering = late.horizon, late.numbering
        assert (await up_to_now(market, again))["hustlers"] == [str(hustler)]
        await market.advance("1 day")
    await keeper.keep()
    assert await market.owner.fetchval("select count(*) from changes") == 0
    assert await late.ask() == {"lost": True}
    # who has heard of everything that is gone loses nothing
    await up_to_now(market, reader)
    assert await up_to_now(market, reader) == NOTHING


async def test_a_slot_that_somebody_writes_is_left_alone(
    own_market: Market, connect: Connect
) -> None:
    """By one who has not committed since the day before yesterday: its rows are not lost."""
    market = own_market
    hustler = await market.user("hustler")
    writer = await connect()
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute("update users set trust_tier = 3 where id = $1", hustler)
    await market.advance("2 days")
    assert await market.app.fetchval("select empty_old_changes()") == "[]"
    await transaction.commit()
    assert json.loads(await market.app.fetchval("select empty_old_changes()")) != []


async def test_it_reads_by_index_alone(own_market: Market, reader: Reader) -> None:
    """However few rows the statistics claim: neither the log nor the changes are read whole."""
    market = own_market
    poster = await market.user("poster")
    for _ in range(3):
        await market.app.fetchval(APPEND, poster)
    await market.owner.execute("analyze user_events; analyze changes; analyze users")
    await up_to_now(market, reader)
    task = await market.funded()
    await market.offered(task)
    xid = await last_xid(market)
    async with market.app.transaction():
        before = await scans(market)
        found = await settled(reader, at_least=xid)
        after = await scans(market)
    assert found["users"]
    assert found["broadcasts"]
    whole = {name: n - before[name][0] for name, (n, _) in after.items() if n > before[name][0]}
    # one row each, as every statement reads them
    assert whole.keys() <= {"clock_offset", "changes_emptied"}
    assert any(
        by_index > before[name][1] for name, (_, by_index) in after.items() if "user_events" in name
    )


async def scans(market: Market) -> dict[str, tuple[int, int]]:
    """How often this transaction has read each table whole, and by an index."""
    rows = await market.app.fetch(
        "select relname, seq_scan, coalesce(idx_scan, 0) as idx_scan from pg_stat_xact_user_tables"
    )
    return {row["relname"]: (row["seq_scan"], row["idx_scan"]) for row in rows}


async def test_an_old_event_is_of_no_transaction(own_market: Market, reader: Reader) -> None:
    """As the migration leaves those that were there before: nobody is told of them."""
    market = own_market
    poster: UUID = await market.user("poster")
    await market.app.fetchval(APPEND, poster)
    await market.owner.execute("update user_events set xid = '0' where user_id = $1", poster)
    fresh = Reader(market.app)
    assert await fresh.ask() == {"lost": True}
    assert "users" not in await up_to_now(market, fresh)

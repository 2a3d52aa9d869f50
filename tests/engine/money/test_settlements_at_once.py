"""Many consumers of the same settlements: each is paid once, and its XP awarded once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID

import asyncpg
import pytest

from engine.kernel.store import Store
from engine.money.provider import Movement
from engine.money.settlements import SettlementWorker
from sql.database import Database
from tests.engine.money.books import broken
from tests.engine.money.raw_commands import Lines
from tests.engine.money.setup import Ledger, Setup, casts
from tests.support.market import RecordingEffects, settlement_worker
from tests.support.servers import TestDatabase


class Mortal(Ledger):
    """A provider whose first transfer is the last thing its caller lives to see."""

    alive = True

    async def transfer(
        self,
        key: UUID,
        account: str | None,
        hustler: UUID,
        amount_cents: int,
        *,
        escrow: UUID,
        payment: str | None,
    ) -> Movement:
        """Move the money, and end the first caller."""
        moved = await super().transfer(
            key, account, hustler, amount_cents, escrow=escrow, payment=payment
        )
        if self.alive:
            self.alive = False
            raise asyncio.CancelledError
        return moved


CONSUMERS = 8


async def completed(lines: Lines, owner: asyncpg.Connection, payments: Ledger, count: int) -> None:
    """As many approved tasks, whose settlements wait."""
    waiting = await casts(owner, count)

    async def lane() -> None:
        async with lines.line() as app:
            setup = Setup(app, payments)
            while waiting:
                await setup.bring(waiting.pop(), "COMPLETED", "STANDARD", price_cents=3_333)

    await asyncio.gather(*(lane() for _ in range(4)))


async def settle_at_once(database: TestDatabase, payments: Ledger) -> list[RecordingEffects]:
    """Eight consumers, each with connections of its own, until nothing is left."""
    async with AsyncExitStack() as stack:
        sinks = [RecordingEffects() for _ in range(CONSUMERS)]
        consumers = []
        for sink in sinks:
            pool = await Database.open(database.dsn, size=2)
            stack.push_async_callback(pool.close)
            consumers.append(settlement_worker(Store(pool), payments, sink))

        async def consume(worker: SettlementWorker) -> None:
            while await worker.settle_waiting():
                pass

        await asyncio.gather(*map(consume, consumers))
    return sinks


async def settled_once(
    database: TestDatabase, lines: Lines, owner: asyncpg.Connection, count: int
) -> None:
    """`count` settlements, eight consumers, one of everything."""
    payments = Ledger()
    await completed(lines, owner, payments, count)

    sinks = await settle_at_once(database, payments)

    states = await owner.fetch("select state, count(*) from escrows group by state")
    assert [tuple(row) for row in states] == [("RELEASED", count)]
    # 3,333 − 499
    assert list(payments.transfers.values()) == [2_834] * count
    booked = await owner.fetchval("select count(distinct transfer_reference) from settlements")
    assert booked == count
    awards = await owner.fetch("select escrow_id, count(*) from xp_ledger group by escrow_id")
    assert [row["count"] for row in awards] == [1] * count
    received = [e.type for sink in sinks for a in sink.committed for e in a.events]
    assert received.count("PAYMENT_CAPTURED") == 2 * count
    assert received.count("XP_AWARDED") == count
    assert await broken(owner) == {}


async def test_each_of_100_releases_is_paid_and_awarded_once_by_eight_consumers(
    fresh_database: TestDatabase, lines: Lines, owner: asyncpg.Connection
) -> None:
    """RELEASED, one transfer, one XP row and one message to each side, whoever was first."""
    await settled_once(fresh_database, lines, owner, 100)


@pytest.mark.long
async def test_each_of_1000_releases_is_paid_and_awarded_once_by_eight_consumers(
    fresh_database: TestDatabase, lines: Lines, owner: asyncpg.Connection
) -> None:
    """As above."""
    await settled_once(fresh_database, lines, owner, 1_000)


async def test_a_consumer_that_dies_between_call_and_booking_pays_nobody_twice(
    fresh_database: TestDatabase, lines: Lines, owner: asyncpg.Connection
) -> None:
    """The next one repeats the call under the same key, which is the same transfer."""
    payments = Mortal()
    await completed(lines, owner, payments, 5)
    database = await Database.open(fresh_database.dsn)
    try:
        worker = settlement_worker(Store(database), payments)
        with pytest.raises(asyncio.CancelledError):
            await worker.settle_waiting()
        assert len(payments.transfers) == 1
    finally:
        await database.close()

    await settle_at_once(fresh_database, payments)

    assert len(payments.transfers) == 5
    assert max(payments.asked[key] for key in payments.transfers) > 1
    states = await owner.fetch("select distinct state from escrows")
    assert [row["state"] for row in states] == ["RELEASED"]


async def test_releases_of_one_hustler_at_once_add_up_to_one_total(
    fresh_database: TestDatabase, lines: Lines, owner: asyncpg.Connection
) -> None:
    """Each award begins where another one ended, though eight consumers book them together."""
    payments = Ledger()
    cast = (await casts(owner, 1))[0]
    async with lines.line() as app:
        setup = Setup(app, payments)
        for _ in range(20):
            await setup.bring(cast, "COMPLETED", "STANDARD")

    await settle_at_once(fresh_database, payments)

    awards = await owner.fetch("select * from xp_ledger order by user_xp_after")
    assert len(awards) == 20
    assert [row["user_xp_before"] for row in awards[1:]] == [
        row["user_xp_after"] for row in awards[:-1]
    ]
    total = await owner.fetchval("select total_xp from users where id = $1", cast.hustler)
    assert total == awards[-1]["user_xp_after"]


async def test_an_account_that_is_made_while_a_payout_is_being_held_sets_it_free(
    lines: Lines, owner: asyncpg.Connection
) -> None:
    """There was no row to lock: the two take turns all the same."""
    await completed(lines, owner, Ledger(), 1)
    settlement, hustler = await owner.fetchrow(
        "select s.id, t.assigned_hustler_id from settlements as s"
        " join escrows as e on e.id = s.escrow_id join tasks as t on t.id = e.task_id"
    )
    async with lines.line() as holding, lines.line() as making:
        held = holding.transaction()
        await held.start()
        await holding.execute("select hold_unpayable($1, $2, 'no account')", settlement, hustler)
        made = asyncio.create_task(
            making.execute("select set_payout_account($1, 'acct_1', true)", hustler)
        )
        _, waiting = await asyncio.wait({made}, timeout=0.2)
        assert waiting
        await held.commit()
        await made
    assert await owner.fetchval("select state from settlements") == "PENDING"

"""Many consumers of the same settlements: each is paid once, and its XP awarded once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID

import asyncpg
import pytest

from engine.kernel.store import Store
from engine.money.provider import Movement
from engine.money.settlements import CLAIM_S, SettlementWorker
from sql.database import Database
from tests.engine.money import clock
from tests.engine.money.books import broken
from tests.engine.money.raw_commands import Lines
from tests.engine.money.setup import Ledger, Setup, casts
from tests.support.market import RecordingEffects, settlement_worker
from tests.support.servers import TestDatabase


class Watched(Ledger):
    """A provider that takes a moment, and sees whether two ask for the same at once."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: set[UUID] = set()
        self.twice: set[UUID] = set()

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
        """Move the money, some turns of the loop later."""
        if key in self.inside:
            self.twice.add(key)
        self.inside.add(key)
        await asyncio.sleep(0.01)
        self.inside.discard(key)
        return await super().transfer(
            key, account, hustler, amount_cents, escrow=escrow, payment=payment
        )


class Slow(Ledger):
    """A provider whose first transfer moves the money and never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: UUID | None = None

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
        """Move the money; the first caller waits for ever."""
        moved = await super().transfer(
            key, account, hustler, amount_cents, escrow=escrow, payment=payment
        )
        if self.slow is None:
            self.slow = key
            await asyncio.Event().wait()
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

        look = await asyncpg.connect(database.owner_dsn)
        stack.push_async_callback(look.close)
        for _ in range(100):  # one whose rows were locked rests for a moment
            await asyncio.gather(*map(consume, consumers))
            if not await look.fetchval("select count(*) from settlements where done_at is null"):
                break
            await asyncio.sleep(0.05)
    return sinks


async def settled_once(
    database: TestDatabase, lines: Lines, owner: asyncpg.Connection, count: int
) -> None:
    """`count` settlements, eight consumers, one of everything, one call at a time."""
    payments = Watched()
    await completed(lines, owner, payments, count)

    sinks = await settle_at_once(database, payments)

    states = await owner.fetch("select state, count(*) from escrows group by state")
    assert [tuple(row) for row in states] == [("RELEASED", count)]
    # 3,333 − 499
    assert list(payments.transfers.values()) == [2_834] * count
    assert not payments.twice
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


async def released(owner: asyncpg.Connection) -> int:
    """How many escrows have been paid out."""
    count: int = await owner.fetchval("select count(*) from escrows where state = 'RELEASED'")
    return count


async def test_a_call_that_takes_long_delays_no_other_and_what_its_caller_leaves_is_taken_over(
    fresh_database: TestDatabase, lines: Lines, owner: asyncpg.Connection
) -> None:
    """Nobody repeats the call while it may be on its way; to the second, the next one does then."""
    payments = Slow()
    await completed(lines, owner, payments, 20)
    await clock.stop(owner)
    database = await Database.open(fresh_database.dsn)
    try:
        working = asyncio.create_task(settlement_worker(Store(database), payments).run())
        async with asyncio.timeout(20):
            while True:
                if await released(owner) == 19:
                    break
                await asyncio.sleep(0.01)
        # As a kill does: nothing is given back.
        working.cancel()
        await asyncio.wait({working})
    finally:
        await database.close()

    for seconds, asked in ((CLAIM_S - 0.001, 1), (0.001, 2)):
        await clock.advance(owner, seconds)
        await settle_at_once(fresh_database, payments)
        assert payments.slow is not None
        assert payments.asked[payments.slow] == asked
    assert len(payments.transfers) == await released(owner) == 20


async def test_a_claim_that_ended_is_no_leave_to_ask_again(
    fresh_database: TestDatabase, lines: Lines, owner: asyncpg.Connection
) -> None:
    """A worker that was stopped between the two calls of a split leaves the second to the next."""
    payments = Ledger()
    async with lines.line() as app:
        setup = Setup(app, payments)
        await setup.bring((await casts(owner, 1))[0], "RESOLVED")
    database = await Database.open(fresh_database.dsn)
    try:
        stopped, other = (settlement_worker(Store(database), payments) for _ in range(2))
        (claimed,) = await stopped._claimed(8)
        await owner.execute("update settlements set claimed_until = hx_clock()")
        assert await stopped._settle(claimed) == 1
        assert (len(payments.refunds), len(payments.transfers)) == (1, 0)
        assert await other.settle_waiting() == 1
    finally:
        await database.close()
    assert (len(payments.refunds), len(payments.transfers)) == (1, 1)
    assert await owner.fetchval("select state from escrows") == "REFUND_PARTIAL"


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

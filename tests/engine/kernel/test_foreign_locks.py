"""A row that somebody else holds delays nobody but those who need it.

The foreign transaction holds its row for the whole test: whoever waited for it would never be done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from engine.kernel.errors import Refusal
from engine.kernel.ids import TaskId, UserId
from engine.money.books import ProviderEvent
from engine.money.facts import Fact
from engine.money.payout_accounts import Payouts
from engine.money.provider_events import ProviderEvents
from engine.money.providers.simulated import SimulatedPayments
from engine.money.reconciliation import Reconciler
from engine.photos.storage import ObjectPhotos
from engine.photos.upload_sweep import UploadSweep
from sql.session import LOCK_TIMEOUT_MS
from tests.support.market import Market
from tests.support.servers import TestDatabase

ROWS = {
    "task": "select from tasks where id = $1 for update",
    "timer": "select from timers where subject = $1 for update",
    "escrow": "select from escrows where task_id = $1 for update",
    "counter": "select from user_counters where user_id ="
    " (select poster_id from tasks where id = $1) for update",
}


@asynccontextmanager
async def held(database: TestDatabase, statement: str, *args: object) -> AsyncIterator[None]:
    """The rows that a statement locks, in a transaction of somebody else."""
    stranger = await asyncpg.connect(database.owner_dsn)
    transaction = stranger.transaction()
    await transaction.start()
    try:
        assert (await stranger.execute(statement, *args)).endswith(" 1")
        yield
    finally:
        await transaction.rollback()
        await stranger.close()


async def expiring(market: Market, poster: UserId | None = None) -> TaskId:
    """A funded task that waits for nobody after an hour."""
    deadline = await market.queries.clock.now() + timedelta(hours=1)
    return await market.funded("STANDARD", deadline=deadline, poster=poster)


@pytest.mark.parametrize("row", ROWS)
async def test_a_locked_row_delays_no_other_timer(
    own_market: Market, fresh_database: TestDatabase, row: str
) -> None:
    """One round fires all the others; the held one has its turn when its row is free again."""
    held_task, *others = [await expiring(own_market) for _ in range(4)]
    await own_market.advance("2 hours")
    async with held(fresh_database, ROWS[row], held_task):
        await own_market.timers.fire_due()
        assert [await own_market.state(task) for task in others] == ["EXPIRED"] * 3
        assert await own_market.state(held_task) == "OPEN"
        assert await own_market.timers.fire_due() == 0, "the held one rests"
        late = await expiring(own_market)
        await own_market.advance("2 hours")
        await own_market.timers.fire_due()
        assert await own_market.state(late) == "EXPIRED"
    async with asyncio.timeout(20):
        while await own_market.state(held_task) != "EXPIRED":
            await own_market.timers.fire_due()


async def test_many_timers_that_need_one_locked_row_delay_no_other(
    own_market: Market, fresh_database: TestDatabase
) -> None:
    """A poster's row keeps a dozen of timers back: they do not each wait as long as a caller."""
    poster = await own_market.user("poster")
    tasks = [await expiring(own_market, poster=poster) for _ in range(12)]
    other = await expiring(own_market)
    await own_market.advance("2 hours")
    patience_s = len(tasks) * LOCK_TIMEOUT_MS / 1_000
    async with held(fresh_database, ROWS["counter"], tasks[0]), asyncio.timeout(patience_s / 2):
        await own_market.timers.fire_due()
    assert await own_market.state(other) == "EXPIRED"
    assert {await own_market.state(task) for task in tasks} == {"OPEN"}


@pytest.mark.parametrize("row", ["task", "escrow", "counter", "settlement"])
async def test_a_locked_row_delays_no_other_payout(
    own_market: Market, fresh_database: TestDatabase, row: str
) -> None:
    """The others are paid in the same round, and the held one is no case for an admin."""
    held_task, other = [(await own_market.completed())[0] for _ in range(2)]
    statement = ROWS.get(row) or (
        "select from settlements as s join escrows as e on e.id = s.escrow_id"
        " where e.task_id = $1 for update of s"
    )
    async with held(fresh_database, statement, held_task):
        assert await own_market.worker.settle_waiting() == 1
        assert await own_market.escrow_state(other) == "RELEASED"
        assert await own_market.escrow_state(held_task) == "FUNDED"
    async with asyncio.timeout(20):
        while await own_market.escrow_state(held_task) != "RELEASED":
            await own_market.worker.settle_waiting()
    attempts = await own_market.app.fetch("select attempts, last_error from settlements")
    assert {tuple(row) for row in attempts} == {(0, None)}


class Teller:
    """A provider's books with these events and no movements."""

    def __init__(self, received: list[ProviderEvent]) -> None:
        self.received = received

    async def events_since(self, _since: object) -> list[ProviderEvent]:
        """All of them, however old."""
        return self.received

    async def movements_since(self, _since: object) -> list[object]:
        """None."""
        return []


async def test_a_locked_row_delays_no_other_event_of_the_provider(
    own_market: Market, fresh_database: TestDatabase
) -> None:
    """The event whose task is held is told again in the next round."""
    tasks = [await own_market.task("STANDARD") for _ in range(3)]
    escrows = [
        await own_market.app.fetchval(
            "select begin_funding($1, $2) ->> 'id'", await own_market.poster_of(task), task
        )
        for task in tasks
    ]
    received = [
        ProviderEvent(
            f"evt_{number}",
            "payment_intent.succeeded",
            Fact("PAYMENT_SUCCEEDED", escrow_id=escrow, payment=f"pi_{number}",
                 amount_cents=4_000),
        )
        for number, escrow in enumerate(escrows)
    ]  # fmt: skip
    reconciler = Reconciler(
        own_market.execution,
        own_market.store,
        SimulatedPayments(),
        ProviderEvents(own_market.execution, own_market.store, own_market.start),
        own_market.start,
        books=Teller(received),  # type: ignore[arg-type]
        payouts=Payouts(own_market.execution, own_market.store, SimulatedPayments()),
        every_s=60.0,
    )
    async with held(fresh_database, ROWS["task"], tasks[0]):
        assert await reconciler.sweep() == 2
    assert await reconciler.sweep() == 1
    assert {await own_market.escrow_state(task) for task in tasks} == {"FUNDED"}


async def test_a_locked_upload_delays_no_other_sweep(
    own_market: Market, fresh_database: TestDatabase, tmp_path: Path
) -> None:
    """It stays, and goes with a later one."""
    user = await own_market.user("hustler")
    first, _ = [await own_market.photo(user) for _ in range(2)]
    await own_market.advance("2 days")
    sweep = UploadSweep(own_market.store, ObjectPhotos.in_folder(tmp_path))
    async with held(fresh_database, "select from uploads where id = $1 for update", first):
        assert await sweep.sweep() == 1
    assert await sweep.sweep() == 1


async def test_a_locked_key_delays_no_other_sweep(
    own_market: Market, fresh_database: TestDatabase
) -> None:
    """Of two old keys the free one goes."""
    user = await own_market.user("poster")
    for key in "ab":
        await own_market.store.value("claim_idempotency_key", user, "route", key, b"")
    await own_market.advance("2 days")
    statement = "select from idempotency_keys where key = $1 for update"
    async with held(fresh_database, statement, "a"):
        assert await own_market.store.value("sweep_idempotency_keys", 10) == 1
    assert await own_market.store.value("sweep_idempotency_keys", 10) == 1


@pytest.mark.parametrize("row", ["task", "counter"])
async def test_a_command_on_a_locked_row_is_answered_soon(
    own_market: Market, fresh_database: TestDatabase, row: str
) -> None:
    """HX017, to be tried again: neither a wait for the holder nor an error of ours."""
    task = await own_market.task()
    poster = await own_market.poster_of(task)
    async with held(fresh_database, ROWS[row], task), asyncio.timeout(8 * LOCK_TIMEOUT_MS / 1_000):
        with pytest.raises(Refusal) as refused:
            await own_market.commands.tasks.cancel(poster, task, None)
    assert (refused.value.kind.code, refused.value.kind.retryable) == ("HX017", True)
    await own_market.commands.tasks.cancel(poster, task, None)

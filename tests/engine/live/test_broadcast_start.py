"""The search for a first wave goes on beside the provider's call, and can neither fail nor delay it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from engine.api.commands import Commands
from engine.kernel import errors
from engine.kernel.broadcast_params import StartingTask
from engine.live import broadcast_start
from engine.live.broadcast_plan import BroadcastPlan
from engine.live.broadcast_start import BroadcastStart
from engine.live.first_wave import FirstWaveCandidates
from engine.money.provider import Movement, PaymentRefused
from engine.money.providers.simulated import SimulatedPayments
from engine.tasks.codes import CodeBook, TaskCodes
from tests.support.market import Market


class Search(SimulatedPayments):
    """A search and a provider that know of each other."""

    def __init__(self) -> None:
        super().__init__()
        self.found: FirstWaveCandidates | None = None
        self.asked: list[tuple[StartingTask, float]] = []
        self.begun = asyncio.Event()
        self.hangs = self.fails = self.refuses = False
        self.cancelled = False
        self.failures = 0

    async def candidates(
        self, starting: StartingTask, radius_miles: float
    ) -> FirstWaveCandidates | None:
        """What was said it finds, unless it fails or hangs."""
        self.asked.append((starting, radius_miles))
        self.begun.set()
        if self.fails:
            raise ConnectionError
        if self.hangs:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        return self.found

    async def charge(self, key: UUID, amount_cents: int, poster: UUID, **more: Any) -> Movement:
        """Answers; a refusal comes only when the search has begun."""
        if self.refuses:
            await self.begun.wait()
            raise PaymentRefused
        return await super().charge(key, amount_cents, poster, **more)

    def failed(self) -> None:
        """Counts."""
        self.failures += 1


@pytest.fixture
def search() -> Search:
    """One that finds nobody."""
    return Search()


@pytest.fixture
def commands(market: Market, search: Search) -> Commands:
    """The engine with that search."""
    start = BroadcastStart(
        market.store, BroadcastPlan(initial_radius_miles=4.0), search, search.failed
    )
    codes = TaskCodes(market.store, CodeBook(b"k" * 32))
    return Commands.open(market.execution, market.store, codes, search, start)


def candidates(hustler: UUID) -> FirstWaveCandidates:
    """One, a mile away."""
    return FirstWaveCandidates(1, 10, [hustler], [1.0], [1.0], [0.8])


async def test_who_was_found_is_offered_the_task_with_the_money(
    market: Market, commands: Commands, search: Search
) -> None:
    """The search hears of the task as it stands, and of the plan's first radius."""
    hustler = await market.live_hustler()
    search.found = candidates(hustler)
    task = await market.task()
    await commands.money.fund(await market.poster_of(task), task)
    ((starting, radius_miles),) = search.asked
    assert (starting.task.task_id, starting.version, radius_miles) == (task, 1, 4.0)
    assert starting.task.price_cents == 4_000
    offered = await market.app.fetch("select hustler_id from offers where task_id = $1", task)
    assert [row["hustler_id"] for row in offered] == [hustler]
    assert search.failures == 0
    await commands.money.fund(await market.poster_of(task), task)
    assert len(search.asked) == 1


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_a_search_without_an_answer_is_counted_once_and_the_task_is_funded(
    market: Market,
    commands: Commands,
    search: Search,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether it fails, or lasts for longer than money waits."""
    monkeypatch.setattr(broadcast_start, "FIRST_WAVE_TIMEOUT_S", 0.02)
    setattr(search, how, True)
    task = await market.task()
    await commands.money.fund(await market.poster_of(task), task)
    assert await market.escrow_state(task) == "FUNDED"
    assert search.failures == 1
    assert search.cancelled == search.hangs


async def test_a_payment_that_is_refused_ends_the_search(
    market: Market, commands: Commands, search: Search
) -> None:
    """It had begun beside the provider's call, and is no failure."""
    search.hangs = search.refuses = True
    task = await market.task()
    with pytest.raises(errors.Refusal):
        await commands.money.fund(await market.poster_of(task), task)
    assert search.cancelled
    assert search.failures == 0


async def test_nobody_is_looked_for_where_no_broadcast_would_start(
    market: Market, commands: Commands, search: Search
) -> None:
    """A STANDARD task, and a task given back that was one."""
    search.fails = True
    task = await market.task("STANDARD")
    await commands.money.fund(await market.poster_of(task), task)
    accepted, hustler = await market.accepted("STANDARD")
    await commands.tasks.release(hustler, accepted, None)
    assert search.asked == []
    held, holder = await market.accepted()
    await commands.tasks.release(holder, held, None)
    assert [starting.task.task_id for starting, _ in search.asked] == [held]

"""The city's figures: each ended broadcast read once, each running one counted in its turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from engine.kernel.store import Store
from gateway.observer import city_day, offer_counts
from gateway.observer.city_day import CityDay
from gateway.observer.offer_counts import OfferCounts
from tests.support.market import Market, open_market
from tests.support.servers import TestDatabase

TRUTH = """
select count(*) filter (where state in ('EXPIRED', 'CANCELLED')) as no_accept, count(accept_s) as accepted,
    coalesce(sum(hustlers_notified), 0) as offers,
    percentile_cont(0.5) within group (order by accept_s) as median_s,
    percentile_cont(0.95) within group (order by accept_s) as p95_s,
    percentile_cont(0.5) within group (order by first_card_s) as first_card_s,
    percentile_cont(0.5) within group (order by human_s) as human_s
from time_to_accept where state <> 'ACTIVE' and started_at >= date_trunc('day', hx_clock())
"""


class CountedStore:
    """A store that notes which queries were asked, and for what."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: list[tuple[str, Any]] = []

    async def rows(self, name: str, *args: Any) -> Any:
        """As the store has it."""
        self.asked.append((name, args))
        return await self._store.rows(name, *args)

    async def rows_as(self, shape: Any, name: str, *args: Any) -> Any:
        """As the store has it."""
        self.asked.append((name, args))
        return await self._store.rows_as(shape, name, *args)


@pytest.fixture
async def market(fresh_database: TestDatabase) -> AsyncIterator[Market]:
    """A day with two accepted broadcasts, one that was cancelled and one that runs."""
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as market:
        for seconds in ("7 s", "30 s"):
            task = await market.funded()
            hustler = await market.offered(task)
            await market.offered(task)
            await market.owner.execute("update offers set sent_at = hx_clock()")
            await market.advance(seconds)
            await market.commands.live.accept(hustler, task)
        cancelled = await market.funded()
        await market.offered(cancelled)
        await market.commands.tasks.cancel(await market.poster_of(cancelled), cancelled, None)
        await market.offered(await market.funded())
        yield market


async def now(market: Market) -> datetime:
    """The clock that decides."""
    at: datetime = await market.app.fetchval("select hx_clock()")
    return at


async def agrees(market: Market, day: CityDay) -> None:
    """The day's figures are those that the database makes of all its rows."""
    truth = await market.app.fetchrow(TRUTH)
    assert (day.accepted, day.no_accept, day.offers) == (
        truth["accepted"], truth["no_accept"], truth["offers"],
    )  # fmt: skip
    figures = (
        day.time_to_accept_s(0.5), day.time_to_accept_s(0.95),
        day.median_first_card_s(), day.median_human_s(),
    )  # fmt: skip
    expected = [truth[name] for name in ("median_s", "p95_s", "first_card_s", "human_s")]
    assert figures == pytest.approx([float(value) for value in expected])


@pytest.mark.parametrize("at_once", [1_000, 1])
async def test_the_day_is_what_the_database_makes_of_it(
    market: Market, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """In one query or in many; looked at again it is the same, and what ends later is added."""
    monkeypatch.setattr(city_day, "ENDED_AT_ONCE", at_once)
    day = CityDay(market.store)
    for _ in range(2):
        await day.read_on(await now(market))
        assert (day.accepted, day.no_accept, day.offers) == (2, 1, 5)
        await agrees(market, day)
    await market.accepted()
    await day.read_on(await now(market))
    assert day.accepted == 3
    await agrees(market, day)
    await market.advance("1 minute")
    await market.accepted()
    await day.read_on(await now(market))
    await agrees(market, day)


async def test_a_transaction_that_ends_late_is_not_missed(market: Market) -> None:
    """It commits eight seconds after the time it has written, and is counted once."""
    day, at = CityDay(market.store), await now(market)
    await day.read_on(at + timedelta(seconds=8))
    assert day.accepted == 2
    await market.accepted()
    await day.read_on(at + timedelta(seconds=9))
    await day.read_on(at + timedelta(seconds=10))
    assert day.accepted == 3


async def test_a_look_reads_no_more_than_what_has_ended_since(market: Market) -> None:
    """One bounded query, which leaves out what was counted."""
    store = CountedStore(market.store)
    day = CityDay(store)  # type: ignore[arg-type]
    await market.advance("1 minute")
    await day.read_on(await now(market))
    store.asked.clear()
    await day.read_on(await now(market))
    ((name, (began, behind, *_)),) = store.asked
    assert name == "city_ended"
    assert behind > began
    assert behind >= await now(market) - city_day.SETTLED - timedelta(seconds=5)


async def test_another_day_begins_at_nothing(market: Market) -> None:
    """UTC, by the clock of the database."""
    day = CityDay(market.store)
    await day.read_on(await now(market))
    await market.advance("24 hours")
    await day.read_on(await now(market))
    assert (day.accepted, day.no_accept, day.offers) == (0, 0, 0)
    assert day.time_to_accept_s(0.5) is None


async def test_running_broadcasts_are_counted_in_turn_and_ended_ones_once(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All when they are first shown; then so many a round, the one counted longest ago first."""
    monkeypatch.setattr(offer_counts, "COUNTED_AT_ONCE", 1)
    store = CountedStore(market.store)
    counts = OfferCounts(store)  # type: ignore[arg-type]
    first, second = [await market.broadcast_of(await market.funded()) for _ in range(2)]
    ended = await market.broadcast_of((await market.accepted())[0])
    shown: dict[UUID, bool] = {first: True, second: True, ended: False}
    await counts.read_on(shown)
    assert [counts.of(each) for each in shown] == [0, 0, 1]
    task = await market.app.fetchval("select task_id from live_broadcasts where id = $1", second)
    await market.offered(task)
    store.asked.clear()
    await counts.read_on(shown)
    await counts.read_on(shown)
    assert [args[0] for _, args in store.asked] == [[first], [second]]
    assert (counts.of(second), counts.running) == (1, 1)
    await counts.read_on({first: True})
    assert (counts.of(second), counts.of(None), counts.running) == (0, 0, 0)

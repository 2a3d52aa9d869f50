"""Loop lag, full collections and the pool, as a scrape sees them."""

from __future__ import annotations

import asyncio
import gc
import time

import pytest

from gateway.metrics.metrics import Metrics
from gateway.metrics.process_metrics import LOOKS_S, ProcessMetrics
from sql.database import Database, DatabaseAway
from sql.pool_use import PoolUse


async def test_a_blocked_loop_shows_as_lag() -> None:
    """Whoever blocks longer than a look is seen with at least what was left of it."""
    lags: asyncio.Queue[float] = asyncio.Queue()
    watching = asyncio.create_task(ProcessMetrics(lags.put_nowait, lambda _: None).run())
    await asyncio.sleep(0)
    time.sleep(3 * LOOKS_S)  # noqa: ASYNC251  # the fault that is to be seen
    assert await lags.get() >= 1.5 * LOOKS_S
    watching.cancel()


async def test_full_collections_are_timed_and_young_ones_are_not() -> None:
    """And the collector forgets the watcher when that ends."""
    pauses: list[float] = []
    before = list(gc.callbacks)
    watching = asyncio.create_task(ProcessMetrics(lambda _: None, pauses.append).run())
    await asyncio.sleep(0)
    gc.collect(0)
    gc.collect()
    await asyncio.sleep(2 * LOOKS_S)
    gc.collect(1)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert pauses
    assert all(pause > 0 for pause in pauses)
    assert gc.callbacks == before


async def test_the_pool_tells_who_is_served_and_who_waits(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two connections, three callers: the third waits, and its waiting is timed; a failed one leaves no trace."""
    monkeypatch.setattr("sql.database.CONNECT_TIMEOUT_S", 0.3)
    database = await Database.open(database_dsn, size=2)
    metrics = Metrics()
    metrics.database.watch(database.use)
    database.waited = metrics.database.waited
    value = metrics.registry.get_sample_value
    try:
        assert database.use() == PoolUse(busy=0, idle=2, size_max=2, waiting=0)
        async with database._connection(), database._connection():
            third = asyncio.create_task(database.value("clock"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert database.use() == PoolUse(busy=2, idle=0, size_max=2, waiting=1)
            assert value("hustlexp_database_connections", {"state": "busy"}) == 2
            assert value("hustlexp_database_calls_waiting") == 1
            assert value("hustlexp_database_connections_max") == 2
            with pytest.raises(DatabaseAway):
                await third
        await database.value("clock")
        assert database.use().waiting == 0
        assert value("hustlexp_database_wait_seconds_count") == 3
    finally:
        await database.close()

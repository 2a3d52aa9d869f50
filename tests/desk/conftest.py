"""A busy market for this folder, and one for a test alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.desk.busy import Busy
from tests.market import open_market
from tests.servers import RunServers, TestDatabase, clone_of

SEED = 20_260_707


@pytest.fixture(scope="package")
async def busy(run_servers: RunServers, worker_number: int) -> AsyncIterator[Busy]:
    """Two rounds of everything, in a database of its own."""
    with clone_of(run_servers, f"gw{worker_number}_busy") as database:
        async with open_market(database.dsn, database.owner_dsn) as market:
            busy = Busy(market, SEED)
            await busy.play(2)
            yield busy


@pytest.fixture
async def own_busy(fresh_database: TestDatabase) -> AsyncIterator[Busy]:
    """Scenes for one test alone; nothing has happened yet."""
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as market:
        busy = Busy(market, SEED)
        busy.admin = await market.user("admin", 1)
        yield busy

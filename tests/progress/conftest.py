"""A market for each test that asks."""

from collections.abc import AsyncIterator

import pytest

from tests.market import Market, open_market
from tests.servers import TestDatabase


@pytest.fixture
async def market(database_dsn: str, owner_dsn: str) -> AsyncIterator[Market]:
    """The engine on the worker's database."""
    async with open_market(database_dsn, owner_dsn) as market:
        yield market


@pytest.fixture
async def own_market(fresh_database: TestDatabase) -> AsyncIterator[Market]:
    """The engine on a database of this test alone: the clock may be moved."""
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as market:
        yield market

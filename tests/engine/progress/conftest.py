"""A market for each test that asks."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.market import Market, open_market
from tests.support.servers import RunServers, TestDatabase, clone_of


@pytest.fixture(scope="session")
def room_database(run_servers: RunServers, worker_number: int) -> Iterator[TestDatabase]:
    """One database for these tests: no service settles in it behind their backs."""
    with clone_of(run_servers, f"gw{worker_number}_progress") as database:
        yield database


@pytest.fixture(scope="session")
def database_dsn(room_database: TestDatabase) -> str:
    """As the application sees it."""
    return room_database.dsn


@pytest.fixture(scope="session")
def owner_dsn(room_database: TestDatabase) -> str:
    """As its owner sees it."""
    return room_database.owner_dsn


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

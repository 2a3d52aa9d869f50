"""A market with traffic for this folder, and one for a test alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.gateway.conftest import client, parts, people, settings
from tests.gateway.http.admin.traffic import Traffic
from tests.support.market import Market, open_market
from tests.support.rest import People, Person
from tests.support.servers import RunServers, TestDatabase, clone_of

# The service of the REST tests serves these, too.
__all__ = ["client", "parts", "people", "settings"]

SEED = 20_260_707


@pytest.fixture(scope="session")
def admin_database(run_servers: RunServers, worker_number: int) -> Iterator[TestDatabase]:
    """What the service of this folder serves: it settles and tells what other tests would count."""
    with clone_of(run_servers, f"gw{worker_number}_desk") as database:
        yield database


@pytest.fixture(scope="session")
def database_dsn(admin_database: TestDatabase) -> str:
    """As the application sees it."""
    return admin_database.dsn


@pytest.fixture(scope="session")
def owner_dsn(admin_database: TestDatabase) -> str:
    """As its owner sees it."""
    return admin_database.owner_dsn


@pytest.fixture(scope="package")
async def traffic(run_servers: RunServers, worker_number: int) -> AsyncIterator[Traffic]:
    """Everything once, in a database of its own."""
    with clone_of(run_servers, f"gw{worker_number}_busy") as database:
        async with open_market(database.dsn, database.owner_dsn) as market:
            traffic = Traffic(market, SEED)
            await traffic.play(1)
            yield traffic


@pytest.fixture
async def own_traffic(fresh_database: TestDatabase) -> AsyncIterator[Traffic]:
    """Scenes for one test alone; nothing has happened yet."""
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as market:
        traffic = Traffic(market, SEED)
        traffic.admin = await market.user("admin", 1)
        yield traffic


@pytest.fixture(scope="package")
async def market(database_dsn: str, owner_dsn: str) -> AsyncIterator[Market]:
    """The engine on the database that the service serves."""
    async with open_market(database_dsn, owner_dsn) as market:
        yield market


@pytest.fixture(scope="package")
async def scenes(market: Market) -> Traffic:
    """Scenes in the database that the service serves."""
    traffic = Traffic(market, SEED)
    traffic.admin = await market.user("admin", 1)
    return traffic


@pytest.fixture(scope="package")
async def admin(people: People) -> Person:
    """An admin with a token."""
    return await people.person("admin")

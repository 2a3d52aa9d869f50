"""One service for the whole chain, on a database whose clock the tests move forward.

Every test makes its own people and tasks, and depends on no absolute time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.valkey import LOGICAL_DATABASES
from tests.conftest import emptied, logical
from tests.e2e.people import Chain
from tests.e2e.purse import Purses
from tests.support.servers import RunServers, TestDatabase, clone_of
from tests.support.service import running


@pytest.fixture(scope="session")
def purses() -> Purses:
    """Everybody's balance in this run."""
    return Purses()


@pytest.fixture(scope="session")
def moving_database(run_servers: RunServers, worker_number: int) -> Iterator[TestDatabase]:
    """A database whose clock runs ahead."""
    with clone_of(run_servers, f"gw{worker_number}_chain") as database:
        yield database


@pytest.fixture(scope="session")
async def chain(
    moving_database: TestDatabase,
    run_servers: RunServers,
    worker_number: int,
    purses: Purses,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Chain]:
    """The service, its people and their money."""
    folder = tmp_path_factory.mktemp("chain")
    valkey_url = emptied(logical(run_servers.redis_url, LOGICAL_DATABASES - 1 - worker_number))
    database = moving_database
    async with running(
        database.dsn, database.owner_dsn, valkey_url, folder, purses.opened
    ) as service:
        yield Chain(service, purses)

"""A database of these rooms alone, where no service is at work."""

from collections.abc import Iterator

import pytest

from tests.support.servers import RunServers, TestDatabase, clone_of


@pytest.fixture(scope="session")
def room_database(run_servers: RunServers, worker_number: int) -> Iterator[TestDatabase]:
    """One database for these tests: no service settles in it behind their backs."""
    with clone_of(run_servers, f"gw{worker_number}_engine") as database:
        yield database


@pytest.fixture(scope="session")
def database_dsn(room_database: TestDatabase) -> str:
    """As the application sees it."""
    return room_database.dsn


@pytest.fixture(scope="session")
def owner_dsn(room_database: TestDatabase) -> str:
    """As its owner sees it."""
    return room_database.owner_dsn

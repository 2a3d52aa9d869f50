"""One server pair for each run, one database for each worker, no rollback isolation.

Tests make their own users and tasks and never clean up. A test that moves the clock or counts
globally takes `fresh_database`; one that kills servers starts its own pair.
With HX_POSTGRES_DSN (a login that may create roles and databases) and HX_REDIS_URL set, the run
uses those servers instead.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from tests.support.market import Market, open_market
from tests.support.servers import (
    RunServers,
    ServersOfRun,
    TestDatabase,
    clone_of,
    copy_prepared,
    wait_for,
)
from tests.support.service import Service, running

SERVERS_FILE = "PYTEST_SERVERS_FILE"
_servers = pytest.StashKey[ServersOfRun]()
_counter = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    """The controller owns the servers; workers learn of them through a file."""
    if hasattr(config, "workerinput"):
        return
    servers = ServersOfRun()
    config.stash[_servers] = servers
    os.environ[SERVERS_FILE] = str(servers.file)
    if config.getoption("numprocesses", None) and not config.option.collectonly:
        servers.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops the servers after the last worker has ended."""
    servers = config.stash.get(_servers, None)
    if servers is not None:
        servers.stop()


@pytest.fixture(scope="session")
def run_servers(pytestconfig: pytest.Config) -> RunServers:
    """The servers of this run; without workers they start when the first test asks."""
    servers = pytestconfig.stash.get(_servers, None)
    if servers is not None:
        servers.start()
    return wait_for(Path(os.environ[SERVERS_FILE]))


@pytest.fixture(scope="session")
def worker_number() -> int:
    """0, 1, … for gw0, gw1, …; 0 without workers."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@pytest.fixture(scope="session")
def worker_database(run_servers: RunServers, worker_number: int) -> Iterator[TestDatabase]:
    """The database that all tests of this worker share."""
    with clone_of(run_servers, f"gw{worker_number}") as database:
        yield database


@pytest.fixture(scope="session")
def database_dsn(worker_database: TestDatabase) -> str:
    """The worker's database as the application sees it (role hx_app)."""
    return worker_database.dsn


@pytest.fixture(scope="session")
def owner_dsn(worker_database: TestDatabase) -> str:
    """The worker's database as its owner sees it (role hx_owner)."""
    return worker_database.owner_dsn


@pytest.fixture
def fresh_database(run_servers: RunServers, worker_number: int) -> Iterator[TestDatabase]:
    """A clone of this test alone: for moving the clock and for global counts."""
    with clone_of(run_servers, f"gw{worker_number}_{next(_counter)}") as database:
        yield database


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


@pytest.fixture
def run_folder(worker_number: int) -> Iterator[Path]:
    """An empty folder for one test, in memory if possible: for data folders of servers."""
    folder = Path(os.environ[SERVERS_FILE]).parent / f"gw{worker_number}-{next(_counter)}"
    folder.mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def prepared_data_dir(run_folder: Path) -> Path:
    """A data folder as a first start leaves it, for `hustlexp dev` and embedded_servers."""
    data_dir = run_folder / "data"
    copy_prepared(run_folder.parent, data_dir)
    return data_dir


@pytest.fixture(scope="session")
def valkey_url(run_servers: RunServers, worker_number: int) -> str:
    """The logical database that all tests of this worker share; empty at the start of the run."""
    return emptied(logical(run_servers.redis_url, 2 * worker_number + 1))


@pytest.fixture
def fresh_valkey_url(run_servers: RunServers, worker_number: int) -> str:
    """A logical database that is empty when the test begins."""
    return emptied(logical(run_servers.redis_url, 2 * worker_number + 2))


@pytest.fixture(scope="session")
async def service(
    database_dsn: str,
    owner_dsn: str,
    valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Service]:
    """A whole service in this loop, on the worker's database."""
    data_dir: Path = tmp_path_factory.mktemp("service")
    async with running(database_dsn, owner_dsn, valkey_url, data_dir) as opened:
        yield opened


def logical(url: str, number: int) -> str:
    """The URL of one logical database of a server."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        # geturl() would drop the slashes of one that names no password.
        return f"{url.partition('?')[0]}?db={number}"
    return parts._replace(path=f"/{number}").geturl()


def emptied(url: str) -> str:
    """The same URL, its database empty."""
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url

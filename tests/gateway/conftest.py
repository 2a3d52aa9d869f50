"""Parts of the REST tests: the opened service behind a client, its people, its database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import uvicorn

from engine.kernel.store import Cursor, Store
from gateway.cli.dev_accounts import open_dev_accounts
from gateway.http.parts import Parts
from gateway.server.app import create_app
from gateway.server.serving import listen, url_of
from gateway.server.wiring import open_parts
from gateway.settings.groups import Http, Settings
from sql.database import Database
from tests.support.rest import People

Holds = Callable[[str], AbstractAsyncContextManager[None]]


@pytest.fixture(scope="session")
async def database(database_dsn: str) -> AsyncIterator[Database]:
    """The worker's database, acting as hx_app."""
    opened = await Database.open(database_dsn, size=8)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def store(database: Database) -> Store:
    """The engine's way to it."""
    return Store(database)


@pytest.fixture
async def hasty_store(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """The same, giving up a statement after 100 ms."""
    monkeypatch.setattr("sql.database.STATEMENT_TIMEOUT_MS", 100)
    opened = await Database.open(database_dsn, size=2)
    yield Store(opened)
    await opened.close()


@pytest.fixture
def owner_holds(owner_dsn: str) -> Holds:
    """The locks that one statement of the owner takes, while a block runs."""

    @asynccontextmanager
    async def holding(statement: str) -> AsyncIterator[None]:
        connection = await asyncpg.connect(owner_dsn, server_settings={"role": "hx_owner"})
        try:
            async with connection.transaction():
                await connection.execute(statement)
                yield
        finally:
            await connection.close()

    return holding


@pytest.fixture(scope="session")
def settings(
    database_dsn: str, owner_dsn: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """A development service on the worker's servers, with one browser origin allowed."""
    return Settings.load(
        {
            "HX_POSTGRES_DSN": database_dsn,
            "HX_POSTGRES_OWNER_DSN": owner_dsn,
            "HX_REDIS_URL": valkey_url,
            "HX_DATA_DIR": str(Path(tmp_path_factory.mktemp("data"))),
            "HX_DEVELOPMENT": "true",
            "HX_BROADCAST_TICK_S": "0.1",
            "HX_ORIGINS": "https://app.example",
        }
    )


@pytest.fixture(scope="session")
async def parts(settings: Settings) -> AsyncIterator[Parts]:
    """Every part, opened by the composition root."""
    async with open_parts(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
async def client(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application."""
    transport = httpx.ASGITransport(create_app(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://hx") as opened:
        yield opened


@pytest.fixture(scope="session")
async def service_url(parts: Parts) -> AsyncIterator[str]:
    """The application behind a real server on a free port."""
    listener = listen(Http(port=0))
    server = uvicorn.Server(uvicorn.Config(create_app(parts), lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield url_of(listener)
    server.should_exit = True
    await serving


@pytest.fixture(scope="session")
async def people(client: httpx.AsyncClient, settings: Settings) -> AsyncIterator[People]:
    """Makes posters and hustlers."""
    async with open_dev_accounts(settings) as dev_accounts:
        yield People(client, dev_accounts)


@pytest.fixture
def users() -> tuple[UUID, UUID]:
    """Two ids."""
    return uuid4(), uuid4()


@pytest.fixture
def cursor_end() -> Cursor:
    """Where some page ended."""
    return Cursor(datetime(2030, 1, 2, 3, 4, 5, 678_901, UTC), uuid4())


Execute = Callable[..., Awaitable[None]]


@pytest.fixture
def owner_execute(owner_dsn: str) -> Execute:
    """Runs one statement as the owner: for states that no call leads to in a test's time."""

    async def execute(statement: str, *args: object) -> None:
        connection = await asyncpg.connect(owner_dsn, server_settings={"role": "hx_owner"})
        try:
            await connection.execute(statement, *args)
        finally:
            await connection.close()

    return execute

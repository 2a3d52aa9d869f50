"""A failover leaves connections read-only: writes are away, readiness ends, and all of it heals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.cli.dev_accounts import open_dev_accounts
from gateway.server.app import create_app
from gateway.server.wiring import open_parts
from gateway.settings.groups import Settings
from sql.database import Database, DatabaseAway
from tests.support.rest import People, Person
from tests.support.servers import RunServers, TestDatabase

CONNECTIONS = 4


@dataclass
class Server:
    """The database of this test, whose connections can be made to change their part."""

    run: RunServers
    dsn: str

    def become(self, *, read_only: bool) -> None:
        """New connections are; those that are open stay what they were."""
        part = "on" if read_only else "off"
        self.run.psql(f"alter database {self._name} set default_transaction_read_only = {part}")

    def cut(self) -> None:
        """Every connection of the service is lost."""
        self.run.psql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            f" where datname = '{self._name.strip(chr(34))}' and application_name = 'hustlexp'"
        )

    @property
    def _name(self) -> str:
        return f'"{urlsplit(self.dsn).path[1:]}"'


@pytest.fixture
def server(run_servers: RunServers, fresh_database: TestDatabase) -> Server:
    """A writable one."""
    return Server(run_servers, fresh_database.dsn)


@pytest.fixture
async def poster(
    fresh_database: TestDatabase, fresh_valkey_url: str, tmp_path: Path, server: Server
) -> AsyncIterator[Person]:
    """Somebody of a service on that database."""
    settings = Settings.load(
        {
            "HX_POSTGRES_DSN": fresh_database.dsn,
            "HX_POSTGRES_OWNER_DSN": fresh_database.owner_dsn,
            "HX_POSTGRES_POOL": str(CONNECTIONS),
            "HX_REDIS_URL": fresh_valkey_url,
            "HX_DATA_DIR": str(tmp_path),
            "HX_DEVELOPMENT": "true",
        }
    )
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_parts(settings))
        transport = httpx.ASGITransport(create_app(parts))
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://hx")
        )
        async with open_dev_accounts(settings) as dev_accounts:
            poster = await People(client, dev_accounts).person("poster")
        yield poster


async def ready(poster: Person) -> tuple[int, str]:
    """What /readyz says."""
    response = await poster.client.get("/readyz")
    return response.status_code, response.json()["postgres"]


async def becomes_ready(poster: Person, expected: tuple[int, str]) -> None:
    """Asks /readyz until it says so, as an orchestrator does."""
    async with asyncio.timeout(20):
        while True:
            if await ready(poster) == expected:
                return
            await asyncio.sleep(0.05)


async def post(poster: Person) -> Any:
    """One write."""
    task = {
        "mode": "STANDARD", "title": "Hang a door", "description": "It came off.",
        "category": "handyman", "price_cents": 4_000,
        "location": {"lat": 37.77, "lng": -122.42, "address": "1 Main St"},
    }  # fmt: skip
    return await poster.call("POST", "/v1/tasks", task)


async def test_a_read_only_server_is_away_for_writes_and_not_ready(
    poster: Person, server: Server
) -> None:
    """503 UNAVAILABLE, reads go on; with a writable server all is well again by itself."""
    assert (await post(poster)).status == 201
    assert await ready(poster) == (200, "ok")

    server.become(read_only=True)
    server.cut()
    await becomes_ready(poster, (503, "read_only"))
    for _ in range(CONNECTIONS + 1):
        answer = await post(poster)
        assert answer.refusal() == (503, "UNAVAILABLE", None)
        assert answer.body["retryable"] is True
    assert (await poster.call("GET", "/v1/me")).status == 200

    server.become(read_only=False)
    await becomes_ready(poster, (200, "ok"))
    async with asyncio.timeout(20):
        while True:
            # A connection that was opened a moment before the change is found by its first write.
            if (await post(poster)).status == 201:
                return
            await asyncio.sleep(0.05)


async def test_one_refused_write_replaces_all_connections(server: Server) -> None:
    """The others have met the same failover: no caller has to find that out for each."""
    server.become(read_only=True)
    database = await Database.open(server.dsn, size=CONNECTIONS)
    await asyncio.gather(*(database.value("clock") for _ in range(CONNECTIONS)))
    server.become(read_only=False)
    with pytest.raises(DatabaseAway, match="25006"):
        await database.execute("sweep_idempotency_keys", 1)
    for _ in range(2 * CONNECTIONS):
        await database.execute("sweep_idempotency_keys", 1)
    await database.close()

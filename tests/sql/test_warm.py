"""A new connection plans what first cards and accepts wait for, before anybody does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from sql.connecting import connect_app, warm_up
from sql.database import Database
from tests.support.servers import TestDatabase


@pytest.fixture
async def connection(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the service opens it."""
    opened = await connect_app(database_dsn)
    yield opened
    await opened.close()


async def test_every_call_goes_as_far_as_nobody_gets_and_writes_nothing(
    connection: asyncpg.Connection,
) -> None:
    """Each ends for its own reason, none for a statement that is wrong; no transaction id is used."""
    async with connection.transaction():
        ended = await connection.fetchval("select warm_connection()")
        written = await connection.fetchval("select pg_current_xact_id_if_assigned()")
    assert ended == ["P0001", "P0002", "23502", "HX503", "HX503"]
    assert written is None


async def test_a_server_that_takes_no_writes_and_an_older_database_are_served_all_the_same(
    connection: asyncpg.Connection, fresh_database: TestDatabase
) -> None:
    """Warming is no condition."""
    await connection.execute("set default_transaction_read_only = on")
    await warm_up(connection)
    owner = await asyncpg.connect(fresh_database.owner_dsn)
    await owner.execute("drop function warm_connection")
    await owner.close()
    database = await Database.open(fresh_database.dsn, warm=True)
    assert (await database.session()).acting == "hx_app"
    await database.close()


async def test_a_warm_pool_has_called_what_a_first_wave_calls(fresh_database: TestDatabase) -> None:
    """Every connection, before its first use; what a pool was not asked to warm has not."""
    owner = await asyncpg.connect(fresh_database.owner_dsn)
    last = "select query from pg_stat_activity where datname = current_database() and pid <> $1"
    for warm in (True, False):
        database = await Database.open(fresh_database.dsn, warm=warm, size=2)
        rows = await owner.fetch(last, owner.get_server_pid())
        await database.close()
        assert len(rows) == 2
        assert any("make_offers" in row["query"] for row in rows) == warm
    await owner.close()

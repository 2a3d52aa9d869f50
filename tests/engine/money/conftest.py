"""Databases of a test's own: what happens at once is counted over the whole of them."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.engine.money.raw_commands import Lines, open_lines
from tests.support.servers import TestDatabase


@pytest.fixture
async def owner(fresh_database: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to the test's own database."""
    connection = await asyncpg.connect(fresh_database.owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def lines(fresh_database: TestDatabase) -> AsyncIterator[Lines]:
    """Sixteen connections of the application to the same database, where everybody is late."""
    await everybody_is_late(fresh_database)
    async with open_lines(fresh_database.dsn, 16) as lines:
        yield lines


async def everybody_is_late(database: TestDatabase) -> None:
    """Whoever accepts was expected an hour ago, so that a no-show is possible at once."""
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute(
        "create function late() returns trigger language plpgsql as $$ begin"
        " new.eta_at := hx_clock() - interval '1 hour'; return new; end $$;"
        " create trigger zz_late before update of state on tasks for each row"
        " when (old.state in ('OPEN', 'MATCHING') and new.state = 'ACCEPTED')"
        " execute function late()"
    )
    await owner.close()

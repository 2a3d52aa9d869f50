"""Databases of a test's own: what happens at once is counted over the whole of them."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.money.asking import Lines, open_lines
from tests.servers import TestDatabase


@pytest.fixture
async def owner(fresh_database: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to the test's own database."""
    connection = await asyncpg.connect(fresh_database.owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def lines(fresh_database: TestDatabase) -> AsyncIterator[Lines]:
    """Sixteen connections of the application to the same database."""
    async with open_lines(fresh_database.dsn, 16) as lines:
        yield lines

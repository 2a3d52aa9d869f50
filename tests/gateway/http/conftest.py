"""Parts of the REST tests: a database as the service sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from engine.queries import Cursor
from sql.database import Database


@pytest.fixture(scope="session")
async def database(database_dsn: str) -> AsyncIterator[Database]:
    """The worker's database, acting as hx_app."""
    opened = await Database.open(database_dsn, size=8)
    yield opened
    await opened.close()


@pytest.fixture
def users() -> tuple[UUID, UUID]:
    """Two ids."""
    return uuid4(), uuid4()


@pytest.fixture
def cursor_end() -> Cursor:
    """Where some page ended."""
    return Cursor(datetime(2030, 1, 2, 3, 4, 5, 678_901, UTC), uuid4())

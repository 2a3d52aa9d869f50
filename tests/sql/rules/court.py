"""Where rules are tried: a database with a town in it, and a judge for each role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from tests.sql.rules.judge import ROLES, Judge, Role
from tests.sql.rules.town import Town, found
from tests.support.market import open_market
from tests.support.servers import RunServers, TestDatabase, with_database

Court = dict[Role, Judge]


@asynccontextmanager
async def in_session(
    run: RunServers, database: TestDatabase, town: Town | None = None
) -> AsyncIterator[Court]:
    """A judge for each role; the town is founded where there is none yet."""
    name = urlsplit(database.dsn).path.removeprefix("/")
    login = await asyncpg.connect(with_database(run.superuser_dsn, name))
    try:
        async with open_market(database.dsn, database.owner_dsn) as market:
            there = town or await found(market)
            yield {role: Judge(market, there, role, login) for role in ROLES}
    finally:
        await login.close()

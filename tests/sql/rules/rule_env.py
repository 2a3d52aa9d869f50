"""Where rules are tried: a database with a world in it, and a rule checker for each role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from tests.sql.rules.rule_checker import ROLES, Role, RuleChecker
from tests.sql.rules.world import World, found
from tests.support.market import open_market
from tests.support.servers import RunServers, TestDatabase, with_database

RuleEnv = dict[Role, RuleChecker]


@asynccontextmanager
async def in_session(
    run: RunServers, database: TestDatabase, world: World | None = None
) -> AsyncIterator[RuleEnv]:
    """A checker for each role; the world is built where there is none yet."""
    name = urlsplit(database.dsn).path.removeprefix("/")
    login = await asyncpg.connect(with_database(run.superuser_dsn, name))
    try:
        async with open_market(database.dsn, database.owner_dsn) as market:
            there = world or await found(market)
            yield {role: RuleChecker(market, there, role, login) for role in ROLES}
    finally:
        await login.close()

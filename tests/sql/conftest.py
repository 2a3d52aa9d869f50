"""A market of one's own for each test that asks."""

from collections.abc import AsyncIterator

import pytest

from tests.sql.rules.rule_env import RuleEnv, in_session
from tests.support.market import Market, open_market
from tests.support.servers import RunServers, TestDatabase, clone_of


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


@pytest.fixture(scope="session")
async def rule_env(run_servers: RunServers, worker_number: int) -> AsyncIterator[RuleEnv]:
    """Judges in a town of their own, which no other test sees."""
    with clone_of(run_servers, f"gw{worker_number}_town") as database:
        async with in_session(run_servers, database) as rule_env:
            yield rule_env

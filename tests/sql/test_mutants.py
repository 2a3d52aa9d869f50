"""Every trigger, constraint, unique index and grant is needed: without it a test fails.

Each object is removed in a copy of the town, and the rules that name it are tried there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.market import open_market
from tests.servers import RunServers, clone_of, with_database
from tests.sql.rules.catalogue import objects, rules_of
from tests.sql.rules.court import Court, in_session
from tests.sql.rules.judge import ROLES
from tests.sql.rules.town import Town, found
from tests.sql.test_grants import expected, granted

REMOVALS = {
    "trigger": "drop trigger {name} on {table}",
    "constraint": "alter table {table} drop constraint {name} cascade",
    "index": "drop index {name}",
}


async def falls(court: Court, name: str) -> bool:
    """Whether a rule that names the object fails, as the service or as the owner."""
    for rule in rules_of(name):
        for role in ROLES:
            try:
                await rule.check(court[role])
            except (AssertionError, asyncpg.PostgresError):
                return True
    return False


async def without(run: RunServers, number: int, town: Town, name: str, kind: str) -> bool:
    """Whether the suite notices that this object is gone."""
    table, _, own_name = name.partition(".")
    with clone_of(run, f"gw{number}_mutant", of=f"gw{number}_stage") as database:
        login = await asyncpg.connect(
            with_database(run.superuser_dsn, urlsplit(database.dsn).path.removeprefix("/"))
        )
        await login.execute(REMOVALS[kind].format(table=table, name=own_name))
        await login.close()
        async with in_session(run, database, town) as court:
            return await falls(court, name)


@pytest.mark.long
@pytest.mark.timeout(3_600)
async def test_without_any_one_object_a_rule_fails(
    run_servers: RunServers, worker_number: int
) -> None:
    """Survivors are told by name."""
    with clone_of(run_servers, f"gw{worker_number}_stage") as stage:
        async with open_market(stage.dsn, stage.owner_dsn) as market:
            town = await found(market)
            there = await objects(market.owner)
        survivors = [
            name
            for name, kind in there.items()
            if not await without(run_servers, worker_number, town, name, kind)
        ]
    assert len(there) > 200
    assert not survivors, survivors


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_without_any_one_grant_the_list_of_grants_fails(
    run_servers: RunServers, worker_number: int
) -> None:
    """Revoked one at a time, and one too many."""
    with clone_of(run_servers, f"gw{worker_number}_grants") as database:
        owner = await asyncpg.connect(database.owner_dsn)
        for role, table, right in sorted(expected()):
            await owner.execute(f"revoke {right} on {table} from {role}")
            assert await granted(owner) != expected(), (role, table, right)
            await owner.execute(f"grant {right} on {table} to {role}")
        await owner.execute("grant delete on escrows to hx_app")
        assert await granted(owner) != expected()
        await owner.close()

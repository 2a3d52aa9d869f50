"""Take away what judges, one thing at a time: a rule that names it must notice.

What survives is a rule that nobody would miss: either it is not tested or it is not needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.sql.rules.catalogue import objects, rules_of
from tests.sql.rules.mutants import PATCHES, Patch, apply, drop, source_of
from tests.sql.rules.rule_checker import RULES
from tests.sql.rules.rule_env import RuleEnv, in_session
from tests.sql.rules.world import World
from tests.sql.test_grants import expected, granted
from tests.support.market import Market
from tests.support.servers import RunServers, clone_of

GUARDS = sorted({guard for rule in RULES for guard in rule.guards})


class Stage:
    """A founded town, of which each mutant has a copy."""

    def __init__(self, run: RunServers, name: str, world: World) -> None:
        self._run = run
        self._name = name
        self._world = world

    @asynccontextmanager
    async def copy(self) -> AsyncIterator[RuleEnv]:
        """A court in a town of its own."""
        with clone_of(self._run, f"{self._name}_mutant", of=self._name) as database:
            async with in_session(self._run, database, self._world) as rule_env:
                yield rule_env


@pytest.fixture(scope="module")
async def stage(run_servers: RunServers, worker_number: int) -> AsyncIterator[Stage]:
    """The town is founded once, before anything is taken away."""
    name = f"gw{worker_number}_stage"
    with clone_of(run_servers, name) as database:
        async with in_session(run_servers, database) as rule_env:
            world = rule_env["app"].world
        yield Stage(run_servers, name, world)


async def noticed(rule_env: RuleEnv, guard: str) -> bool:
    """Whether a rule that names this object fails, as the service or as the owner."""
    for rule in rules_of(guard):
        for checker in rule_env.values():
            try:
                await rule.check(checker)
            except AssertionError:
                return True
    return False


@pytest.mark.long
@pytest.mark.parametrize("guard", GUARDS)
async def test_an_object_that_is_dropped_is_missed(stage: Stage, guard: str) -> None:
    """The violation is let in, or refused by another name."""
    async with stage.copy() as rule_env:
        owner = rule_env["owner"].market.owner
        await owner.execute(drop(guard, (await objects(owner))[guard]))
        assert await noticed(rule_env, guard), f"{guard} survives"


@pytest.mark.long
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
async def test_a_condition_that_is_gone_is_missed(stage: Stage, patch: Patch) -> None:
    """By the rules of the trigger that asks it."""
    async with stage.copy() as rule_env:
        await apply(rule_env["owner"].market.owner, patch)
        assert await noticed(rule_env, patch.guard), f"{patch.name} survives"


async def test_every_patch_fits_the_function_as_it_stands(market: Market) -> None:
    """Whoever changes a guard learns here which of its conditions are taken away, and where."""
    misfits = [
        patch.name
        for patch in PATCHES
        if (await source_of(market.owner, patch)).count(patch.text) != 1
    ]
    assert not misfits, misfits


@pytest.mark.long
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

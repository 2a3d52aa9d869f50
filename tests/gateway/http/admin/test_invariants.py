"""Every derived fact agrees on a market with traffic, and disagrees once it is tampered with."""

from __future__ import annotations

import random

import asyncpg
import pytest

from sql import invariants
from sql.invariants import CheckResult
from tests.gateway.http.admin.tampers import TAMPERS
from tests.gateway.http.admin.traffic import Traffic

CHECKS = [check.name for check in invariants.checks()]


async def broken(connection: asyncpg.Connection, rows_max: int = 20) -> dict[str, CheckResult]:
    """The checks that disagree now, inside the connection's transaction."""
    return {
        result.check.name: result
        async for result in invariants.verify_on(connection, rows_max)
        if not result.agrees
    }


def test_every_check_says_in_a_sentence_what_holds() -> None:
    """The first line of each query; and each check has a way to break it in this folder."""
    assert all(
        check.sentence[0].isupper() and check.sentence.endswith(".")
        for check in invariants.checks()
    )
    assert sorted(TAMPERS) == sorted(CHECKS)


async def test_a_market_with_traffic_agrees(traffic: Traffic) -> None:
    """Everything that can happen has happened, and every check agrees."""
    found = await broken(traffic.market.owner)
    assert [(name, result.rows) for name, result in found.items()] == []


@pytest.mark.parametrize("name", CHECKS)
async def test_a_check_names_itself_when_its_fact_is_broken(traffic: Traffic, name: str) -> None:
    """With the guards off one row is changed behind everybody's back, and the check tells."""
    owner = traffic.market.owner
    change = owner.transaction()
    await change.start()
    try:
        done = [await owner.execute(statement) for statement in TAMPERS[name].statements()]
        assert not done[-1].endswith(" 0"), "nothing was there to tamper with"
        found = await broken(owner)
    finally:
        await change.rollback()
    assert name in found
    assert found[name].count >= len(found[name].rows) > 0
    assert all(row.subject and row.found for row in found[name].rows)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
async def test_many_markets_agree_at_every_stop(own_traffic: Traffic, seed: int) -> None:
    """Scenes in any order, days passing between them, timers firing late or not at all."""
    own_traffic.random = random.Random(seed)
    for _ in range(8):
        await own_traffic.play(1)
        await own_traffic.market.advance(own_traffic.random.choice(["1 hour", "3 days", "40 days"]))
        if own_traffic.random.random() < 0.8:
            while await own_traffic.market.timers.fire_due():
                pass
        found = await broken(own_traffic.market.owner)
        assert [(name, result.rows) for name, result in found.items()] == []

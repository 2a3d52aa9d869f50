"""Every derived fact agrees on a busy market, and disagrees once it is tampered with."""

from __future__ import annotations

import random

import asyncpg
import pytest

from sql import invariants
from sql.invariants import Verdict
from tests.gateway.http.admin.busy import Busy
from tests.gateway.http.admin.tampers import TAMPERS

CHECKS = [check.name for check in invariants.checks()]


async def broken(connection: asyncpg.Connection, rows_max: int = 20) -> dict[str, Verdict]:
    """The checks that disagree now, inside the connection's transaction."""
    return {
        verdict.check.name: verdict
        async for verdict in invariants.verify_on(connection, rows_max)
        if not verdict.agrees
    }


def test_every_check_says_in_a_sentence_what_holds() -> None:
    """The first line of each query; and each check has a way to break it in this folder."""
    assert all(
        check.sentence[0].isupper() and check.sentence.endswith(".")
        for check in invariants.checks()
    )
    assert sorted(TAMPERS) == sorted(CHECKS)


async def test_a_busy_market_agrees(busy: Busy) -> None:
    """Everything that can happen has happened, and every check agrees."""
    found = await broken(busy.market.owner)
    assert [(name, verdict.rows) for name, verdict in found.items()] == []


@pytest.mark.parametrize("name", CHECKS)
async def test_a_check_names_itself_when_its_fact_is_broken(busy: Busy, name: str) -> None:
    """With the guards off one row is changed behind everybody's back, and the check tells."""
    owner = busy.market.owner
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
async def test_many_markets_agree_at_every_stop(own_busy: Busy, seed: int) -> None:
    """Scenes in any order, days passing between them, timers firing late or not at all."""
    own_busy.random = random.Random(seed)
    for _ in range(8):
        await own_busy.play(1)
        await own_busy.market.advance(own_busy.random.choice(["1 hour", "3 days", "40 days"]))
        if own_busy.random.random() < 0.8:
            while await own_busy.market.timers.fire_due():
                pass
        found = await broken(own_busy.market.owner)
        assert [(name, verdict.rows) for name, verdict in found.items()] == []

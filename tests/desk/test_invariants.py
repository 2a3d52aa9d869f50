"""Every derived fact agrees on a busy market, and disagrees once it is tampered with."""

from __future__ import annotations

import pytest

from sql import invariants
from sql.invariants import Verdict
from tests.desk.busy import Busy


async def broken(busy: Busy) -> dict[str, Verdict]:
    """The checks that disagree now, inside the owner's transaction."""
    return {
        verdict.check.name: verdict
        async for verdict in invariants.verify_on(busy.market.owner)
        if not verdict.agrees
    }


async def test_a_busy_market_agrees(busy: Busy) -> None:
    """Everything that can happen has happened, and every check agrees."""
    assert [(name, verdict.rows) for name, verdict in (await broken(busy)).items()] == []

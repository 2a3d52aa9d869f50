"""Every kind of timer that may be set is one that something is done about when it is due."""

from __future__ import annotations

import re

from tests.support.market import Market


async def test_every_kind_of_timer_has_its_branch(market: Market) -> None:
    """The kinds that the table takes are those that `fire_timer` knows."""
    check = await market.app.fetchval(
        "select pg_get_constraintdef(oid) from pg_constraint where conname = 'timers_kind'"
    )
    body = await market.app.fetchval("select pg_get_functiondef('fire_timer'::regproc)")
    branches = " ".join(re.findall(r"p_kind (?:=|in) ([^\n]+)", body))
    assert set(re.findall(r"'([A-Z_]+)'", check)) <= set(re.findall(r"'([A-Z_]+)'", branches))

"""Pairs that were chosen, and what has become of their broadcasts until they are inserted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from broadcast.loop_yield import LoopYield
from broadcast.offer_inserts import OfferInserts
from broadcast.wave_store import Wave
from sql.database import DatabaseAway
from tests.broadcast.random_market import LIMITS, RandomMarket
from tests.broadcast.world import Counted, FakeDelivery

ONE_BY_ONE = replace(LIMITS, offers_per_call=1, calls_at_once=1)


class Store:
    """Instead of the database: while the third call is under way every broadcast ends."""

    def __init__(self, market: RandomMarket, *, fails: bool) -> None:
        self.market = market
        self.fails = fails
        self.asked: list[tuple[UUID, UUID]] = []

    async def make_offers(
        self, broadcasts: Sequence[UUID], hustlers: Sequence[UUID], **_: Any
    ) -> Wave:
        """Inserts nothing, refuses nothing."""
        self.asked += zip(broadcasts, hustlers, strict=True)
        if len(self.asked) == 3:
            self.market.swap()
            if self.fails:
                raise DatabaseAway("no answer")
        return Wave(None, [])


@pytest.mark.parametrize("fails", [False, True])
async def test_a_chosen_pair_is_not_offered_as_another_broadcast(fails: bool) -> None:  # noqa: FBT001
    """The slot of its own, which has ended, has the other one by now, and keeps nothing of it."""
    market = RandomMarket(1)
    roster = market.state.roster
    selection, numbers = await market.select()
    meant = [(market.broadcasts[b].id, market.hustlers[h].id) for b, h in numbers]
    store: Any = Store(market, fails=fails)
    inserts = OfferInserts(store, market.state, FakeDelivery(), Counted(), ONE_BY_ONE, lambda: 0.0)
    assert len(meant) > 10
    before = market.offered()
    if fails:
        with pytest.raises(DatabaseAway):
            await inserts.make(selection.pairs, LoopYield(1.0))
    else:
        await inserts.make(selection.pairs, LoopYield(1.0))
    assert store.asked == meant[:3]
    assert not market.offered().any()
    # each hustler has the places back that the bits of the ended broadcasts held, and no more
    known = np.array([h.open_offers for h in market.hustlers])
    chosen = np.bincount([h for _, h in numbers], minlength=60)
    left = np.maximum(known + chosen - before.sum(axis=0), 0)
    assert roster.hustlers.open_offers[market.rows].tolist() == left.tolist()

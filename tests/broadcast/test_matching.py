"""The choice of pairs against brute force, in random markets of 60 hustlers and 40 broadcasts."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from broadcast.loop_yield import LoopYield
from broadcast.market_prices import CategoryPrices, MarketPrices
from geo.distance import distance_m
from geo.points import LatLng
from geo.units import METRES_PER_MILE
from tests.broadcast.random_market import CATEGORIES, LIMITS, RandomMarket


@pytest.mark.parametrize("seed", range(6))
async def test_the_best_legal_pairs_are_chosen_until_nobody_has_place_or_pair(seed: int) -> None:
    """Every pair legal, the best for each hustler, both caps kept, and at the end nothing left."""
    market = RandomMarket(seed)
    scores, before = market.scores(), market.offered()
    free = np.array([(LIMITS.open_offers - h.open_offers) * h.active for h in market.hustlers])
    legal = ~np.isnan(scores) & ~before
    assert 100 < legal.sum() < 1_500
    assert (np.isnan(scores) & ~before).sum() > 200
    chosen = 0
    more = True
    while more:
        fresh = market.state.running.fresh[[b.slot for b in market.active]]
        share = np.where(fresh, LIMITS.first_offers, LIMITS.offers_per_tick)
        selection, pairs = await market.select()
        taken = np.zeros_like(legal)
        for (b, h), total, miles in zip(
            pairs, selection.pairs.score, selection.pairs.exact_miles, strict=True
        ):
            assert legal[b, h]
            assert not taken[b, h]
            taken[b, h] = True
            assert total == scores[b, h]
            task = market.broadcasts[b]
            exact = distance_m(LatLng(task.lat, task.lng), market.hustlers[h].where)
            assert miles == exact / METRES_PER_MILE
        assert (taken.sum(axis=0) <= free).all()
        assert (taken.sum(axis=1) <= share).all()
        for b, h in np.argwhere(legal & ~taken):
            worse = taken[:, h] & (scores[:, h] < scores[b, h])
            # a better pair gives way where its broadcast has had its share, and nowhere else
            assert not worse.any() or taken[b].sum() == share[b]
        chosen += len(pairs)
        legal &= ~taken
        free -= taken.sum(axis=0)
        more = selection.more
        for number in np.flatnonzero(taken.any(axis=1)):
            market.state.running.notified(market.active[number], int(taken[number].sum()))
    assert chosen > 30
    assert not (legal & (free > 0)).any()


class SwapAt(LoopYield):
    """At one yield every broadcast ends, and others start in their slots, far away."""

    def __init__(self, market: RandomMarket, swap_at: int) -> None:
        super().__init__(1.0)
        self.market = market
        self.swap_at = swap_at
        self.yields = 0

    async def maybe_yield(self) -> None:
        """Counts, and swaps once."""
        self.yields += 1
        if self.yields == self.swap_at:
            self.market.swap()


async def test_a_slot_that_another_broadcast_has_got_meanwhile_is_left_alone() -> None:
    """What was computed for the one that ended says nothing of its successor in the slot."""

    async def selected(swap: SwapAt) -> int:
        market = swap.market
        slots = market.state.running.slots()
        found = await market.matching.select(market.present, slots, market.at.timestamp(), swap)
        return len(found.pairs)

    never = SwapAt(RandomMarket(1), 0)
    assert await selected(never) > 10
    for swap_at in range(1, never.yields + 1):
        market = RandomMarket(1)
        slots = market.state.running.slots()
        assert await selected(SwapAt(market, swap_at)) == 0
        every = (slots.repeat(60), np.tile(market.rows, 40))
        assert not market.state.offered.contains(*every).any()


async def test_a_price_that_comes_late_is_not_the_next_broadcasts() -> None:
    """The slot of an ended broadcast may have another one, with a price of its own."""
    market = RandomMarket(1)
    ended, slots = list(market.active), market.state.running.slots()
    market.swap()
    before = market.state.running.tasks.market_price_cents[slots].copy()
    since = market.at + timedelta(hours=1)
    prices = CategoryPrices(tasks=1_000, total_cents=99_900_000, since=since)
    dear = MarketPrices(market.at, dict.fromkeys(CATEGORIES, prices))
    for broadcast in ended:
        market.state.running.price(dear, broadcast)
    assert market.state.running.tasks.market_price_cents[slots].tolist() == before.tolist()
    for broadcast in market.state.running:
        market.state.running.price(dear, broadcast)
    assert set(market.state.running.tasks.market_price_cents[slots]) == {99_900}

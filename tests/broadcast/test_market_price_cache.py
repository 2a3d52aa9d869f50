"""Market prices are read once for everybody, and anew when they are old."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from broadcast.market_price_cache import MarketPriceCache
from broadcast.market_prices import MarketPrices


class Market:
    """Prices to be read, a clock, and a way to fail."""

    def __init__(self) -> None:
        self.reads = 0
        self.now_s = 100.0
        self.away = False
        self.cache = MarketPriceCache(self.read, 60.0, lambda: self.now_s)

    async def read(self) -> MarketPrices:
        """Other prices each time."""
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionError
        self.reads += 1
        return MarketPrices(datetime.now(UTC), {})


async def test_who_asks_at_once_shares_one_read_that_counts_for_a_minute() -> None:
    """The first read does not wait for a minute to have passed."""
    market = Market()
    assert market.cache.known is None
    first, second = await asyncio.gather(market.cache.current(), market.cache.current())
    market.now_s += 59.9
    assert first is second is await market.cache.current() is market.cache.known
    market.now_s += 0.1
    assert await market.cache.current() is not first
    assert market.reads == 2


async def test_a_read_that_fails_is_tried_again_by_the_next_who_asks() -> None:
    """And what was known stays known."""
    market = Market()
    known = await market.cache.current()
    market.now_s += 60
    market.away = True
    with pytest.raises(ConnectionError):
        await market.cache.current()
    assert market.cache.known is known
    market.away = False
    assert await market.cache.current() is not known

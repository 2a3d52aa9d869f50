"""The market prices of all categories, read once a minute for everybody who scores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from broadcast.market_prices import MarketPrices

MARKET_PRICES_HOLD_S: Final = 60.0
"""For so long prices count as today's: a market moves by the day."""


class MarketPriceCache:
    """Reads the market prices when they are asked for and older than a minute."""

    def __init__(
        self, read: Callable[[], Awaitable[MarketPrices]], monotonic: Callable[[], float]
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._reading = asyncio.Lock()
        self._prices: MarketPrices | None = None
        self._read_at_s = 0.0

    async def current(self) -> MarketPrices:
        """Returns prices at most a minute old; who asks meanwhile waits for the same read."""
        async with self._reading:
            now_s = self._monotonic()
            if self._prices is None or now_s - self._read_at_s >= MARKET_PRICES_HOLD_S:
                self._prices = await self._read()
                self._read_at_s = now_s
            return self._prices

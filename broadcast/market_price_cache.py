"""The market prices of all categories, read once a minute for everybody who scores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from broadcast.market_prices import MarketPrices


class MarketPriceCache:
    """Reads the market prices when they are asked for and have grown old."""

    def __init__(
        self,
        read: Callable[[], Awaitable[MarketPrices]],
        hold_s: float,
        monotonic: Callable[[], float],
    ) -> None:
        """Prices count for `hold_s` seconds of `monotonic`."""
        self._read = read
        self._hold_s = hold_s
        self._monotonic = monotonic
        self._reading = asyncio.Lock()
        self._read_at_s = 0.0
        self.known: MarketPrices | None = None
        """The prices as last read, however old; None before the first read."""

    async def current(self) -> MarketPrices:
        """Returns prices that count; who asks meanwhile waits for the same read.

        Raises what `read` raises: the next call reads again.
        """
        async with self._reading:
            now_s = self._monotonic()
            if self.known is None or now_s - self._read_at_s >= self._hold_s:
                self.known = await self._read()
                self._read_at_s = now_s
            return self.known

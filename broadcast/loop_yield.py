"""Cooperative yielding of the event loop, which sockets share with the broadcaster."""

from __future__ import annotations

import asyncio
import time


class LoopYield:
    """A yield point between blocks of work, taken once a block has lasted long enough."""

    def __init__(self, block_s: float) -> None:
        self._block_s = block_s
        self._since_s = time.perf_counter()

    async def maybe_yield(self) -> None:
        """Yields to other tasks if the block has used up its time."""
        if time.perf_counter() - self._since_s >= self._block_s:
            await asyncio.sleep(0)
            self._since_s = time.perf_counter()

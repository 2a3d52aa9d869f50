"""Giving the event loop back: sockets share it with the broadcaster."""

from __future__ import annotations

import asyncio
import time


class LoopYield:
    """Awaited between blocks of work; lets others run once a block has lasted long enough."""

    def __init__(self, block_s: float) -> None:
        self._block_s = block_s
        self._since_s = time.perf_counter()

    async def maybe_yield(self) -> None:
        """Yield if the block is over."""
        if time.perf_counter() - self._since_s >= self._block_s:
            await asyncio.sleep(0)
            self._since_s = time.perf_counter()

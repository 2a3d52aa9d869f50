"""Cooperative yielding of the event loop, which sockets share with the broadcaster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

TURNS_GIVEN: Final = 8
"""Turns of the event loop that a yield lasts while urgent work is under way."""


class LoopShare:
    """How the loops of one broadcaster share the event loop: in short blocks, urgent work first."""

    def __init__(self, block_s: float) -> None:
        self._block_s = block_s
        self._urgent = 0

    @contextmanager
    def urgent(self) -> Iterator[LoopYield]:
        """Lets the other loops give way more often while the block of this `with` runs."""
        self._urgent += 1
        try:
            yield LoopYield(self._block_s)
        finally:
            self._urgent -= 1

    def loop_yield(self) -> LoopYield:
        """Returns the yield point of a round that begins now."""
        return LoopYield(self._block_s, self)

    @property
    def turns(self) -> int:
        """Returns for how many turns of the event loop to give way."""
        return TURNS_GIVEN if self._urgent else 1


class LoopYield:
    """A yield point between blocks of work, taken once a block has lasted long enough."""

    def __init__(self, block_s: float, share: LoopShare | None = None) -> None:
        self._block_s = block_s
        self._share = share
        self._since_s = time.perf_counter()

    async def maybe_yield(self) -> None:
        """Yields to other tasks if the block has used up its time."""
        if time.perf_counter() - self._since_s >= self._block_s:
            for _ in range(1 if self._share is None else self._share.turns):
                await asyncio.sleep(0)
            self._since_s = time.perf_counter()

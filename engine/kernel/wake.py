"""An event that ends a polling loop's wait early, set by a subscriber."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.kernel.applied import Applied


class Wake:
    """A subscriber that wakes one loop when a command did something the loop works on."""

    def __init__(self, concerns: Callable[[Applied], bool]) -> None:
        self._concerns = concerns
        self._event = asyncio.Event()

    def applied(self, applied: Applied) -> None:
        """Wakes the loop when the command concerns it."""
        if self._concerns(applied):
            self._event.set()

    async def wait(self, at_most_s: float) -> None:
        """Returns when woken, or after `at_most_s` seconds."""
        try:
            async with asyncio.timeout(at_most_s):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()

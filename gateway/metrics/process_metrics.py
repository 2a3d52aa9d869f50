"""Measures the lag of the event loop and the pauses for full garbage collections."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

LOOKS_S: Final = 0.1
"""A stall longer than this is always seen; ten wake-ups a second cost under 0.1 % of a core."""
OLDEST_GENERATION: Final = 2
PAUSES_MAX: Final = 64
"""Pauses kept between two looks; more cannot happen within a tenth of a second."""

Observe = Callable[[float], object]


class ProcessMetrics:
    """Reports the lag of its event loop and the collector's pauses, in seconds."""

    def __init__(self, loop_lag: Observe, full_collection: Observe) -> None:
        self._loop_lag = loop_lag
        self._full_collection = full_collection
        self._began = 0.0
        # Filled inside a collection, where no lock may be taken that its victim could hold.
        self._pauses: deque[float] = deque(maxlen=PAUSES_MAX)

    async def run(self) -> None:
        """Measures until cancelled."""
        gc.callbacks.append(self._collecting)
        try:
            while True:
                await self._look()
        finally:
            gc.callbacks.remove(self._collecting)

    async def _look(self) -> None:
        due = perf_counter() + LOOKS_S
        await asyncio.sleep(LOOKS_S)
        self._loop_lag(max(0.0, perf_counter() - due))
        while self._pauses:
            self._full_collection(self._pauses.popleft())

    def _collecting(self, phase: str, info: dict[str, Any]) -> None:
        if info["generation"] < OLDEST_GENERATION:
            return
        if phase == "start":
            self._began = perf_counter()
        else:
            self._pauses.append(perf_counter() - self._began)

"""Keeps full garbage collections short: what lives long is frozen, so no collection looks at it.

A full collection takes as long as there are objects: 0.4 s of standstill at 6,000 sessions.
What a closed session or an answered request leaves dies by reference count
(tests/gateway/ws/test_memory.py), so old objects need not be searched for cycles (ADR 29).
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any, Final

LOOKS_S: Final = 0.05
"""How often it is looked whether the collector has passed a middle collection."""
YOUNG_OBJECTS: Final = 5_000
"""A young collection begins at so many more container objects than were freed; it takes 0.1 ms."""
YOUNG_COLLECTIONS: Final = 1
"""Young collections for each middle one, which hands what survives on to the oldest generation."""
NEVER: Final = 2**31 - 1
"""Middle collections before the interpreter would begin a full one by itself."""
OLD_OBJECTS: Final = 10_000
"""At so many objects in the oldest generation it is collected, which takes 3 to 5 ms, and what is
left is frozen if it is at least half: then the heap has grown and this was not garbage."""

_MIDDLE_GENERATION: Final = 1
_OLDEST_GENERATION: Final = 2


class FrozenHeap:
    """The process's garbage collector, on a schedule of our own while `run` runs."""

    def __init__(self) -> None:
        self._looks_due = False

    async def run(self) -> None:
        """Freezes what the start has made, then whatever stays, until cancelled."""
        thresholds = gc.get_threshold()
        gc.callbacks.append(self._collected)
        try:
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG_OBJECTS, YOUNG_COLLECTIONS, NEVER)
            while True:
                await asyncio.sleep(LOOKS_S)
                if self._looks_due:
                    self._looks_due = False
                    settle()
        finally:
            gc.callbacks.remove(self._collected)
            gc.set_threshold(*thresholds)
            gc.unfreeze()

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        """Notes a middle collection; called inside it, where no other one can run."""
        if phase == "stop" and info["generation"] == _MIDDLE_GENERATION:
            self._looks_due = True


def settle(old_objects: int = OLD_OBJECTS) -> None:
    """Collects all that is not frozen once `old_objects` are old, and freezes what stays."""
    if _old() < old_objects:
        return
    gc.collect()
    if _old() >= old_objects // 2:
        gc.freeze()


def _old() -> int:
    """Returns how many objects the oldest generation holds, the frozen ones not counted."""
    return len(gc.get_objects(_OLDEST_GENERATION))

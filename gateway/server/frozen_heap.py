"""Keeps full garbage collections short: what lives long is frozen, so none looks at it again.

A full collection takes as long as there are objects: 0.4 s of standstill at 6,000 sessions.
What a closed session or an answered request leaves dies by reference count
(tests/gateway/ws/test_memory.py), so old objects need not be searched for cycles (ADR 29).
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

YOUNG_OBJECTS: Final = 3_000
"""A young collection begins at so many more container objects than were freed; it takes 0.5 ms."""
YOUNG_COLLECTIONS: Final = 1
"""After more young collections than this comes a middle one, which makes old what it leaves."""
MIDDLE_COLLECTIONS: Final = 0
"""After more middle collections than this comes a full one, as soon as a quarter of what is old and
not frozen is new: so at 12,000 new objects, which takes 2 to 6 ms."""
FROZEN_FROM: Final = 2_500
"""So many objects that outlive a full collection are no garbage, but a heap that has grown."""
SWEPT_EVERY_S: Final = 0.05
"""How often young objects are made old: at 7,000 messages a second it takes 1 ms."""
SWEPT_FROM: Final = 4_000
"""So many old objects are collected, and those that stay are frozen."""

_MIDDLE_GENERATION: Final = 1
_OLDEST_GENERATION: Final = 2


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Freezes what there is, and while the block runs whatever stays of what comes."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.collect()  # of nothing: a quarter of the heap before it would be much
    gc.callbacks.append(_freeze_what_stays)
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(_freeze_what_stays)
        gc.unfreeze()


def _freeze_what_stays(phase: str, info: dict[str, Any]) -> None:
    """Freezes what a full collection has left, if that is much; the collector calls it.

    There and then: in a burst the event loop has its next turn too late.
    """
    if (
        phase == "stop"
        and info["generation"] == _OLDEST_GENERATION
        and len(gc.get_objects(_OLDEST_GENERATION)) >= FROZEN_FROM
    ):
        gc.freeze()


class HeapSweep:
    """Sees to what replaces frozen objects, which the collector does not count as growth.

    Every frame that a socket receives ends one wait and begins the next, of some five objects.
    """

    async def run(self) -> None:
        """Sweeps until cancelled."""
        while True:
            await asyncio.sleep(SWEPT_EVERY_S)
            sweep()


def sweep() -> None:
    """Makes young objects old, and collects the old ones once they are many."""
    gc.collect(_MIDDLE_GENERATION)
    if len(gc.get_objects(_OLDEST_GENERATION)) >= SWEPT_FROM:
        gc.collect()

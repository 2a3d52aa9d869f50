"""Broadcasts that start with nobody near, for tests without presence."""

from __future__ import annotations

from engine.kernel.broadcast_params import StartingTask
from engine.kernel.store import Store
from engine.live.broadcast_plan import BroadcastPlan
from engine.live.broadcast_start import BroadcastStart
from engine.live.first_wave import FirstWaveCandidates


class NobodyNear:
    """A first wave that finds nobody."""

    async def candidates(
        self, starting: StartingTask, radius_miles: float
    ) -> FirstWaveCandidates | None:
        """None."""
        del starting, radius_miles
        return None


def lone_start(store: Store) -> BroadcastStart:
    """The default plan; no search may fail."""

    def failed() -> None:
        raise AssertionError("a search for nobody failed: see the log")

    return BroadcastStart(store, BroadcastPlan(), NobodyNear(), failed)

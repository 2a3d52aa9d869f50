"""The in-memory state of one running broadcast; PostgreSQL decides, this only caches."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import msgspec
import numpy as np

from broadcast.ports import BroadcastUpdate
from broadcast.radius_plan import RadiusPlan
from broadcast.wave_store import Ending
from engine.kernel.applied import ClosedBroadcast, ClosedReason
from engine.kernel.broadcast_params import BroadcastParams
from engine.live.views import BroadcastState, OfferCard
from geo.cells import Cells
from geo.points import LatLng

_DECODE_CARD = msgspec.json.Decoder(OfferCard).decode

_REASONS: dict[BroadcastState, ClosedReason] = {
    "ACCEPTED": "CLAIMED",
    "EXPIRED": "EXPIRED",
    "CANCELLED": "CANCELLED",
}


def card_of(params: BroadcastParams) -> OfferCard:
    """Returns the card that a broadcast's hustlers share, without what differs by hustler."""
    return _DECODE_CARD(params.card)


class ActiveBroadcast:
    """A broadcast's plan, its slot in the columns, and the last update sent to its poster."""

    def __init__(self, params: BroadcastParams, slot: int) -> None:
        self.params = params
        self.slot = slot
        self.plan = RadiusPlan(
            started_at=params.started_at,
            ends_at=params.expires_at,
            initial_miles=params.initial_radius_miles,
            step_miles=params.expansion_step_miles,
            max_miles=params.max_radius_miles,
            interval=timedelta(seconds=params.expansion_interval_s),
        )
        self.exact = LatLng(params.lat, params.lng)
        self.cells: Cells = np.empty(0, np.uint64)
        """The cover of the present radius."""
        self.notified = 0
        self.known_at_s = time.monotonic()
        self._sent_at_s = float("-inf")

    def card(self) -> OfferCard:
        """Returns the card that its hustlers share, decoded anew: most broadcasts rest most ticks."""
        return card_of(self.params)

    def update(self, at: datetime) -> BroadcastUpdate:
        """Returns the broadcast's progress at `at`, as its poster is shown it."""
        return BroadcastUpdate(
            self.params.id,
            self.params.task_id,
            "ACTIVE",
            self.plan.radius_miles(at),
            self.notified,
            self.plan.next_expansion_at(at),
            self.params.expires_at,
        )

    def due_update(self, at: datetime, now_s: float, gap_s: float) -> BroadcastUpdate | None:
        """Returns an update to the poster, or None while the last one is younger than `gap_s`."""
        if now_s - self._sent_at_s < gap_s:
            return None
        self._sent_at_s = now_s
        return self.update(at)

    def final_update(self, ending: Ending) -> BroadcastUpdate:
        """Returns the update that tells the poster how the broadcast ended."""
        return BroadcastUpdate(
            self.params.id,
            self.params.task_id,
            ending.state,
            ending.radius_miles,
            ending.hustlers_notified,
            None,
            self.params.expires_at,
        )

    def closed(self, ending: Ending) -> ClosedBroadcast:
        """Returns the notice that withdraws the broadcast's cards from their hustlers."""
        return ClosedBroadcast(self.params.id, self.params.task_id, _REASONS[ending.state])

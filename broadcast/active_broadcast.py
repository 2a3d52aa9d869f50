"""One running broadcast as a broadcaster remembers it: a projection, never the judge."""

from __future__ import annotations

from datetime import datetime, timedelta

from broadcast.evaluation_cache import Judged
from broadcast.ports import BroadcastUpdate
from broadcast.radius_plan import RadiusPlan
from broadcast.wave_store import Ending, Facts
from engine.kernel.applied import ClosedBroadcast, ClosedReason
from engine.live.views import BroadcastState
from geo.points import LatLng

_REASONS: dict[BroadcastState, ClosedReason] = {
    "ACCEPTED": "CLAIMED",
    "EXPIRED": "EXPIRED",
    "CANCELLED": "CANCELLED",
}


class Running:
    """A broadcast's plan, who was judged for it, and what its poster was told."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.plan = RadiusPlan(
            started_at=facts.started_at,
            ends_at=facts.expires_at,
            initial_miles=facts.initial_radius_miles,
            step_miles=facts.expansion_step_miles,
            max_miles=facts.max_radius_miles,
            interval=timedelta(seconds=facts.expansion_interval_s),
        )
        self.exact = LatLng(facts.lat, facts.lng)
        self.place = LatLng(facts.place_lat, facts.place_lng)
        self.judged = Judged()
        self.notified = facts.hustlers_notified
        self.evaluating = False
        self.evaluated = False
        self._told: tuple[float, int] | None = None
        self._told_at_s = float("-inf")

    def update(self, at: datetime) -> BroadcastUpdate:
        """How the broadcast stands at `at`."""
        return BroadcastUpdate(
            self.facts.id,
            self.facts.task_id,
            "ACTIVE",
            self.plan.radius_miles(at),
            self.notified,
            self.plan.next_expansion_at(at),
            self.facts.expires_at,
        )

    def news(self, at: datetime, now_s: float, gap_s: float) -> BroadcastUpdate | None:
        """The update to tell the poster, if radius or count changed and the last is old enough."""
        standing = (self.plan.radius_miles(at), self.notified)
        if standing == self._told or now_s - self._told_at_s < gap_s:
            return None
        self._told, self._told_at_s = standing, now_s
        return self.update(at)

    def last_news(self, ending: Ending) -> BroadcastUpdate:
        """The update that tells the poster how it ended."""
        return BroadcastUpdate(
            self.facts.id,
            self.facts.task_id,
            ending.state,
            ending.radius_miles,
            ending.hustlers_notified,
            None,
            self.facts.expires_at,
        )

    def closed(self, ending: Ending) -> ClosedBroadcast:
        """What takes the cards off the screens."""
        return ClosedBroadcast(self.facts.id, self.facts.task_id, _REASONS[ending.state])

"""What LIVE mode and its offers look like from outside: degrees, miles, cents, UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

BroadcastState = Literal["ACTIVE", "ACCEPTED", "EXPIRED", "CANCELLED"]


LiveState = Literal["OFF", "ACTIVE", "COOLDOWN", "PAUSED"]


class ChangedBroadcast(Struct, frozen=True, array_like=True):
    """A broadcast that began or ended, as it stands now."""

    id: UUID
    task_id: UUID
    state: BroadcastState


class BroadcastView(Struct, frozen=True):
    """A task's newest broadcast."""

    id: UUID
    state: BroadcastState
    started_at: datetime
    expires_at: datetime
    radius_miles: float
    next_expansion_at: datetime | None
    hustlers_notified: int


class RoundedLocation(Struct, frozen=True):
    """The centre of the task's resolution-8 cell, and words for it.

    `place` is the town of the address, else the centre to a hundredth of a degree.
    """

    lat: float
    lng: float
    place: str | None = None


class OfferedTask(Struct, frozen=True):
    """The task on an offer card, place rounded."""

    id: UUID
    version: int
    title: str
    description: str
    category: str
    price_cents: int
    hustler_pay_cents: int
    location: RoundedLocation
    distance_miles: float
    deadline: datetime | None
    xp_multiplier: float


class PosterCard(Struct, frozen=True):
    """Who posted, as much as a hustler sees before accepting."""

    first_name: str
    trust_tier: int


class OfferCard(Struct, frozen=True):
    """An open offer: the data of LIVE_TASK_BROADCAST and an item of GET /v1/offers."""

    broadcast_id: UUID
    task: OfferedTask
    matching_score: float
    expires_at: datetime
    poster: PosterCard

    def of(self, distance_miles: float, matching_score: float) -> OfferCard:
        """Returns the card that a broadcast's hustlers share as one of them sees it."""
        task = replace(self.task, distance_miles=distance_miles)
        return replace(self, task=task, matching_score=matching_score)


class LiveView(Struct, frozen=True, omit_defaults=True):
    """A hustler's LIVE state."""

    state: LiveState
    reason: str | None = None
    ends_at: datetime | None = None
    session_id: UUID | None = None
    since: datetime | None = None
    radius_miles: float | None = None
    categories: list[str] | None = None

"""The constant parameters of a running broadcast: its plan, its places, and what its task asks."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class BroadcastParams(Struct, frozen=True):
    """The constant parameters of a running broadcast; radii in miles, places in degrees."""

    id: UUID
    task_id: UUID
    poster_id: UUID
    started_at: datetime
    expires_at: datetime
    initial_radius_miles: float
    max_radius_miles: float
    expansion_step_miles: float
    expansion_interval_s: int
    lat: float
    lng: float
    place_lat: float
    place_lng: float
    category: str
    price_cents: int
    created_at: datetime
    deadline: datetime | None
    required_trust_tier: int
    required_trade: str | None
    insurance_required: bool
    background_check_required: bool

"""A task as its poster describes it, parsed and bounded at the border."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from engine.views import Mode


class TaskDraft(Struct, frozen=True):
    """What `create_task` writes; the place and `partition` are of the location's res-8 cell."""

    mode: Mode
    title: str
    description: str
    category: str
    price_cents: int
    lat: float
    lng: float
    address: str | None
    place_lat: float
    place_lng: float
    partition: int
    deadline: datetime | None = None
    requires_proof: bool = True
    min_photos: int = 1
    estimated_minutes: int | None = None
    required_trade: str | None = None
    required_trust_tier: int = 1
    insurance_required: bool = False
    background_check_required: bool = False

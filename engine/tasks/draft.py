"""A new task as its poster describes it, parsed and bounded on input."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from engine.kernel.states import Mode

COLUMNS: Final = {
    "price_cents": "price",
    "lat": "location_lat",
    "lng": "location_lng",
    "address": "location_address",
}
"""Fields whose column has another name."""


class TaskDraft(Struct, frozen=True, rename=COLUMNS):
    """What `create_task` writes: the mode and a value for each column of `task_terms`.

    `place_lat`/`place_lng` are the centre of the location's res-8 cell, `partition` is that cell's.
    """

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

"""The constant parameters of a task on offer and of its running broadcast.

They travel with the result of the command that started the broadcast, so that nobody asks for them.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Raw, Struct


class TaskParams(Struct, frozen=True, kw_only=True):
    """What a wave needs to know of its task: places in degrees, what it pays, what it asks."""

    task_id: UUID
    poster_id: UUID
    lat: float
    lng: float
    place_lat: float
    place_lng: float
    category: str
    price_cents: int
    created_at: datetime
    deadline: datetime | None
    estimated_minutes: int | None
    required_trust_tier: int
    required_trade: str | None
    insurance_required: bool
    background_check_required: bool


class BroadcastParams(TaskParams, frozen=True, kw_only=True):
    """The constant parameters of a running broadcast: its task's, and its plan; radii in miles."""

    id: UUID
    partition: int
    """0–63, of the task's place: by it several broadcasters share the work."""
    started_at: datetime
    expires_at: datetime
    initial_radius_miles: float
    max_radius_miles: float
    expansion_step_miles: float
    expansion_interval_s: int
    card: Raw
    """The JSON of `engine.live.views.OfferCard` without what differs by hustler."""


class StartingTask(Struct, frozen=True):
    """A task whose broadcast a command would start, as it stood at `now` in this version."""

    now: datetime
    version: int
    task: TaskParams

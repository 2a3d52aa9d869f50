"""What an account looks like to its owner."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from msgspec import Struct

from engine.live.views import LiveView


class MeView(Struct, frozen=True):
    """GET /v1/me."""

    id: UUID
    role: Literal["poster", "hustler", "dual", "admin"]
    first_name: str
    account_status: Literal["ACTIVE", "PAUSED", "SUSPENDED"]
    trust_tier: int
    trust_points: float
    total_xp: int
    level: int
    level_title: str
    streak_days: int
    """0 once the streak is lost."""
    time_zone: str
    live: LiveView

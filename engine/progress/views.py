"""What XP, level, streak, trust and badges look like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

TrustName = Literal["ROOKIE", "VERIFIED", "TRUSTED", "ELITE"]


class CriterionView(Struct, frozen=True):
    """What a tier asks for and where one stands; rates are 0..1, flags count as 1."""

    criterion: Literal["COMPLETED_TASKS", "APPROVAL_RATE", "IDENTITY_VERIFIED", "INSURANCE_VALID"]
    required: float
    reached: float
    is_met: bool


class NextTierView(Struct, frozen=True):
    """The tier above the caller's own."""

    tier: int
    name: TrustName
    criteria: list[CriterionView]


class BadgeView(Struct, frozen=True):
    """A badge; its unlock animation is due while `animation_shown_at` is null."""

    id: UUID
    badge_type: str
    title: str
    granted_at: datetime
    animation_shown_at: datetime | None


class AwardView(Struct, frozen=True):
    """XP for one task, with what it was multiplied by; `total_xp` and `level` are those after it."""

    task_id: UUID
    xp: int
    base_xp: int
    streak_multiplier: float
    trust_multiplier: float
    live_multiplier: float
    total_xp: int
    level: int
    streak_days: int
    at: datetime


class LiveRecordView(Struct, frozen=True):
    """The LIVE record (product_spec §3.6): shares 0..1, null before there is anything to share."""

    total_live_tasks: int
    live_completion_rate: float | None
    average_response_time_seconds: float | None
    average_eta_accuracy: float | None
    live_earnings_total: int
    """Cents, after the fee."""
    no_responses: int


class ProgressView(Struct, frozen=True):
    """GET /v1/me/progress."""

    total_xp: int
    level: int
    level_title: str
    next_level_xp: int | None
    """Total XP at which the next level begins; null on the highest."""
    streak_days: int
    streak_ends_at: datetime | None
    """The last instant at which a completion continues the streak."""
    time_zone: str
    trust_tier: int
    trust_name: TrustName
    trust_points: float
    next_tier: NextTierView | None
    badges: list[BadgeView]
    recent_awards: list[AwardView]
    """The newest 20, newest first."""
    live_record: LiveRecordView

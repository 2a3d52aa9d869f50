"""What admins see of an account."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from engine.live.views import LiveView
from engine.progress.admin_views import XpRowView
from engine.progress.views import BadgeView


class PayoutAccountFile(Struct, frozen=True):
    """Where a hustler is paid."""

    account_id: str
    payouts_enabled: bool
    closed_at: datetime | None
    """Since when it is deleted at the provider, or taken from us."""
    updated_at: datetime


class UserFile(Struct, frozen=True):
    """An account as an admin sees it, with its 50 newest XP awards."""

    id: UUID
    role: Literal["poster", "hustler", "dual", "admin"]
    first_name: str
    account_status: Literal["ACTIVE", "PAUSED", "SUSPENDED"]
    tokens_revoked_at: datetime | None
    """Tokens issued until then are refused."""
    trust_tier: int
    trust_points: float
    total_xp: int
    created_at: datetime
    live: LiveView
    banned_until: datetime | None
    payout_account: PayoutAccountFile | None
    badges: list[BadgeView]
    xp: list[XpRowView]

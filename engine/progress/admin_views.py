"""What admins see of the XP ledger."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class FlagView(Struct, frozen=True):
    """An admin found an XP award wrong; the award itself stays."""

    flagged_by: UUID
    reason: str
    flagged_at: datetime


class XpRowView(Struct, frozen=True):
    """One row of the XP ledger, and its flag."""

    id: UUID
    user_id: UUID
    task_id: UUID
    escrow_id: UUID
    effective_xp: int
    total_xp: int
    created_at: datetime
    flag: FlagView | None

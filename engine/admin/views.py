"""What admins see of their work queue and record; ages are seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

ItemState = Literal["OPEN", "CLOSED"]


class WaitingView(Struct, frozen=True):
    """How much of one kind waits, and for how long the oldest of it has."""

    subject: Literal[
        "ITEM",
        "SETTLEMENT",
        "FAILED_TRANSFER",
        "LATE_PAYMENT",
        "CHARGEBACK",
        "DISPUTE",
        "DISPUTE_PAST_DUE",
        "STUCK_TASK",
    ]
    kind: str
    """Of an item or a stuck task its kind, of the others their state."""
    count: int
    oldest_at: datetime
    oldest_age_s: float


class AdminOverview(Struct, frozen=True):
    """Everything that waits for a person; empty when nothing does."""

    at: datetime
    waiting: list[WaitingView]


class ItemView(Struct, frozen=True):
    """Something that the service asked a person to look at."""

    id: UUID
    kind: str
    subject: str
    details: dict[str, Any]
    opened_at: datetime
    closed_at: datetime | None
    closed_by: UUID | None
    """None while it is open, and where what it was about went away by itself."""


class ActionView(Struct, frozen=True):
    """One act of an admin, as it stays on record."""

    id: UUID
    admin_id: UUID
    action_type: str
    target_type: str
    target_id: str
    reason: str
    metadata: dict[str, Any]
    created_at: datetime

"""What a dispute looks like from outside; amounts are integer cents."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct


class EvidenceView(Struct, frozen=True):
    """What one side, or an admin, has to say in a dispute; photos at `/v1/photos/{id}`."""

    id: UUID
    submitted_by: UUID
    text: str
    photos: list[UUID]
    created_at: datetime


class DisputeView(Struct, frozen=True):
    """A dispute: the escrow is locked until an admin has decided."""

    id: UUID
    task_id: UUID
    opened_by: UUID | None
    side: Literal["POSTER", "HUSTLER", "ADMIN", "SYSTEM"]
    reason: str
    state: Literal["OPEN", "EVIDENCE_REQUESTED", "ESCALATED", "RESOLVED"]
    outcome: Literal["HUSTLER", "POSTER", "SPLIT"] | None
    release_cents: int | None
    """Of the held amount, the hustler's part before the fee."""
    refund_cents: int | None
    resolution: str | None
    opened_at: datetime
    evidence_due_at: datetime
    resolved_at: datetime | None
    evidence: list[EvidenceView]

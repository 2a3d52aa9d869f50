"""What a proof and its photos look like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct


class PhotoView(Struct, frozen=True):
    """A photo of a proof: `GET /v1/photos/{id}` shows it. Where it was taken is never told."""

    id: UUID
    content_type: Literal["image/jpeg", "image/png"]
    bytes: int
    captured_at: datetime | None
    """What its file told; null when it told no moment, or one without a time zone."""
    captured_in_time: bool | None
    """Whether that lies between accept and submission, give or take 5 minutes; null: not told."""
    near_place: bool | None
    """Whether it was taken within 0.25 miles of the task; null when its file told no position."""


class ProofView(Struct, frozen=True):
    """One proof of a task."""

    id: UUID
    task_id: UUID
    kind: Literal["CODE", "PHOTOS", "NONE", "DECISION"]
    state: Literal["PENDING", "SUBMITTED", "ACCEPTED", "REJECTED", "EXPIRED"]
    submitted_at: datetime | None
    review_deadline: datetime | None
    """Unreviewed until then, the proof counts as accepted."""
    reviewed_at: datetime | None
    reject_reason: str | None
    started_by_code: bool
    """Whether the work began with the poster's start code, so that both have met."""
    photos: list[PhotoView]
    """In the order in which they were handed in."""

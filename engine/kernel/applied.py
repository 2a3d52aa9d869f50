"""What a committed command did, and who has to hear of it.

Every command of `sql/` answers one JSON object of this shape.
The transaction is over when it is read: whatever an `EffectSink` loses, the log, the next tick or
the next poll brings back.
"""

from __future__ import annotations

from typing import Literal, Protocol
from uuid import UUID

from msgspec import Struct

from engine.views import ClosedReason, UserEvent


class ClosedBroadcast(Struct, frozen=True):
    """A broadcast that has ended: its cards leave every screen."""

    broadcast_id: UUID
    task_id: UUID
    reason: ClosedReason


class Refused(Struct, frozen=True):
    """A refusal that had to commit something (a counted wrong code): raised after the commit."""

    code: str
    invariant: str
    retry_after_s: float | None = None


class Applied(Struct, frozen=True):
    """The result of one command."""

    outcome: Literal["DONE", "WON", "TAKEN", "EXPIRED", "DECLINED", "SKIPPED"] = "DONE"
    task_id: UUID | None = None
    subject_id: UUID | None = None
    """What was created or changed beside the task: an escrow, a proof, a live session."""
    events: tuple[UserEvent, ...] = ()
    closed: tuple[ClosedBroadcast, ...] = ()
    started: tuple[UUID, ...] = ()
    """Broadcasts that have just started: the bell rings for them."""
    withdrawn: tuple[UUID, ...] = ()
    """Hustlers who are no longer offerable: their open cards leave the screen."""
    settle: bool = False
    """A settlement waits for its provider call."""
    refused: Refused | None = None


class EffectSink(Protocol):
    """Hears of every committed command, at once, without awaiting."""

    def applied(self, applied: Applied) -> None:
        """Push events, close cards, ring bells. Must not raise and must not block."""

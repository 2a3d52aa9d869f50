"""The result of a committed command: the JSON object that every command of `sql/` returns.

The transaction is over when it is read: whatever a subscriber loses, the log, the next tick or the
next poll brings back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Raw, Struct

from engine.kernel.broadcast_params import BroadcastParams
from engine.kernel.ids import TaskId

ClosedReason = Literal["EXPIRED", "CLAIMED", "CANCELLED", "WITHDRAWN"]


class UserEvent(Struct, frozen=True):
    """One durable event: `seq` is gap-free per `user_id`; `data` is the message's data."""

    user_id: UUID
    seq: int
    type: str
    data: dict[str, Any]
    at: datetime


class ClosedBroadcast(Struct, frozen=True):
    """A broadcast that has ended: its cards leave every screen."""

    broadcast_id: UUID
    task_id: UUID
    reason: ClosedReason


class StartedBroadcast(Struct, frozen=True):
    """A broadcast that has just started, with all that its broadcaster needs to go on."""

    params: BroadcastParams
    now: datetime
    """The database's time inside the transaction."""
    wave: Raw = Raw(b"null")
    """The JSON of `broadcast.wave_store.Wave`: the offers made in the same transaction.

    `null` where no candidates were handed in, or none could be offered anything.
    """


class RefusalRecord(Struct, frozen=True):
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
    started: tuple[StartedBroadcast, ...] = ()
    """Broadcasts that have just started."""
    withdrawn: tuple[UUID, ...] = ()
    """Hustlers who are no longer offerable: their open cards leave the screen."""
    settle: bool = False
    """A settlement waits for its provider call."""
    refused: RefusalRecord | None = None

    @property
    def task(self) -> TaskId:
        """Returns the task that the command is about; RuntimeError where it named none."""
        if self.task_id is None:
            raise RuntimeError("a command about a task answered none")
        return TaskId(self.task_id)

    @property
    def subject(self) -> UUID:
        """Returns the id of the row that the command made; RuntimeError where it named none."""
        if self.subject_id is None:
            raise RuntimeError("a command that makes something answered nothing")
        return self.subject_id

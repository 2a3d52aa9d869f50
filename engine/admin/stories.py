"""The histories of tasks and hustlers, step by step, as the admin API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from engine.kernel.ids import TaskId, UserId
from engine.kernel.states import Mode, TaskState
from engine.kernel.store import Store
from engine.live.views import LiveView

StepKind = Literal[
    "POSTED",
    "FUNDED",
    "WAVE",
    "FIRST_CARD",
    "DECLINED",
    "SKIPPED",
    "NOBODY_CAME",
    "ACCEPTED",
    "ARRIVED",
    "STARTED",
    "PROOF",
    "REJECTED",
    "DISPUTED",
    "COMPLETED",
    "CANCELLED",
    "EXPIRED",
    "PAID",
    "REFUNDED",
]


class StoryStep(Struct, frozen=True, omit_defaults=True):
    """One thing that happened to a task.

    `name` is who did it, `radius_miles` and `offers` a wave's reach and the offers made in it,
    `miles` the distance of an answer, `note` a reason or the kind of a proof.
    """

    at: datetime
    kind: StepKind
    name: str | None = None
    radius_miles: float | None = None
    offers: int | None = None
    cents: int | None = None
    miles: float | None = None
    note: str | None = None


class TaskStory(Struct, frozen=True):
    """A task and its steps, the oldest first; of the declined cards the first twenty.

    `radius_miles`, `next_expansion_at` and `expires_at` are those of a running broadcast.
    """

    id: UUID
    title: str
    category: str
    address: str | None
    mode: Mode
    state: TaskState
    price_cents: int
    poster_name: str
    hustler_id: UUID | None
    hustler_name: str | None
    predecessor_id: UUID | None
    successor_id: UUID | None
    radius_miles: float | None
    next_expansion_at: datetime | None
    expires_at: datetime | None
    at: datetime
    """The clock at which it was told."""
    steps: list[StoryStep]


class StoryTask(Struct, frozen=True):
    """A task that a hustler took; `paid_cents` once the money arrived."""

    id: UUID
    title: str
    state: TaskState
    price_cents: int
    accepted_at: datetime
    paid_cents: int | None


class StoryOffer(Struct, frozen=True):
    """A card that a hustler got; `response` is null for silence."""

    task_id: UUID
    title: str
    price_cents: int
    miles: float
    offered_at: datetime
    response: Literal["ACCEPT", "DECLINE", "SKIP"] | None


class HustlerStory(Struct, frozen=True):
    """A hustler's last 24 hours: counts, and the ten newest tasks and offers."""

    id: UUID
    first_name: str
    trust_tier: int
    total_xp: int
    live: LiveView
    at: datetime
    cards: int
    declined: int
    accepted: int
    paid: int
    earned_cents: int
    tasks: list[StoryTask]
    offers: list[StoryOffer]


class Stories:
    """Reads the histories of tasks and hustlers; NOT_FOUND for an unknown id."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def task(self, task: TaskId) -> TaskStory:
        """Returns the history of a task from its posting to the payment, or to any other end."""
        return await self._store.found(TaskStory, "task_story", task)

    async def hustler(self, user: UserId) -> HustlerStory:
        """Returns the offers and tasks that a hustler had in the last 24 hours."""
        return await self._store.found(HustlerStory, "hustler_story", user)

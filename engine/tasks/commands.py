"""What a poster and a hustler may do with a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    EscrowId,
    TaskId,
    UserId,
)
from engine.live.broadcast_plan import BroadcastPlan
from engine.tasks.codes import TaskCodes
from engine.tasks.draft import TaskDraft
from geo.points import LatLng

BroadcastChoice = Literal["SWITCH_TO_STANDARD", "INCREASE_PRICE", "CANCEL"]


class KnownPosition(NamedTuple):
    """The last believed position of a hustler, and how many seconds ago it was measured."""

    point: LatLng
    age_s: float


class ChosenTask(NamedTuple):
    """The task that goes on, and the replacement escrow where a higher price must be funded."""

    task: TaskId
    replacement: EscrowId | None = None


class TaskCommands:
    """Creates, edits, starts and ends tasks."""

    def __init__(self, execution: Execution, codes: TaskCodes, plan: BroadcastPlan) -> None:
        self._execution = execution
        self._codes = codes
        self._plan = msgspec.json.encode(plan).decode()

    async def create(self, poster: UserId, draft: TaskDraft) -> TaskId:
        """A new unfunded task. HX902 below $15.00 for LIVE, HX503 for who may not post."""
        applied = await self._execution.run(
            "create_task", poster, msgspec.json.encode(draft).decode()
        )
        return applied.task

    async def edit(
        self, poster: UserId, task: TaskId, changes: Mapping[str, object], version: int | None
    ) -> None:
        """Change a task's terms: columns of `tasks` with their new values. HX019, HX010 VERSION."""
        await self._execution.run(
            "edit_task", poster, task, msgspec.json.encode(changes).decode(), version
        )

    async def cancel(self, poster: UserId, task: TaskId, reason: str | None) -> None:
        """End an unstarted task with a full refund; HX010 once the hustler has arrived.

        The reason NO_SHOW counts against the hustler; HX010 NO-SHOW before ETA + 15 min.
        """
        await self._execution.run("cancel_task", poster, task, reason)

    async def choose(
        self, poster: UserId, task: TaskId, choice: BroadcastChoice, price_cents: int | None = None
    ) -> ChosenTask:
        """After a broadcast nobody accepted: switch (a successor), a higher price, or the end."""
        applied = await self._execution.run(
            "choose_after_broadcast", poster, task, choice, price_cents
        )
        if applied.subject_id is not None and choice == "INCREASE_PRICE":
            return ChosenTask(task, EscrowId(applied.subject_id))
        return ChosenTask(TaskId(applied.subject_id or task))

    async def arrived(self, hustler: UserId, task: TaskId, fix: KnownPosition | None) -> None:
        """Record the arrival: by a fix of the last 5 minutes within 150 m of the task.

        HX021 ARRIVAL for such a fix elsewhere; without one it is a claim, which binds nobody.
        """
        lat, lng, age_s = (fix.point.lat, fix.point.lng, fix.age_s) if fix else (None, None, None)
        await self._execution.run("mark_arrived", hustler, task, lat, lng, age_s)

    async def start(self, hustler: UserId, task: TaskId, code: str) -> None:
        """Begin the work. HX018 for a wrong code, and for any code while it is locked."""
        correct = await self._codes.is_correct(task, "START", code)
        await self._execution.run("start_task", hustler, task, correct)

    async def release(self, hustler: UserId, task: TaskId, reason: str | None) -> None:
        """Give the task back; a successor with the same escrow is on offer at once."""
        await self._execution.run("release_task", hustler, task, reason, self._plan)

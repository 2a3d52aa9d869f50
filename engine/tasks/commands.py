"""The commands of posters and hustlers on tasks."""

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
from engine.live.broadcast_start import BroadcastStart
from engine.tasks.codes import TaskCodes
from engine.tasks.draft import TaskDraft
from geo.points import LatLng

BroadcastChoice = Literal["SWITCH_TO_STANDARD", "INCREASE_PRICE", "CANCEL"]


class KnownPosition(NamedTuple):
    """A hustler's last accepted fix, and how many seconds ago it was measured."""

    point: LatLng
    age_s: float


class ChosenTask(NamedTuple):
    """The task that continues, and the replacement escrow where a higher price must be funded."""

    task: TaskId
    replacement: EscrowId | None = None


class TaskCommands:
    """Creates, edits, starts and ends tasks."""

    def __init__(self, execution: Execution, codes: TaskCodes, start: BroadcastStart) -> None:
        self._execution = execution
        self._codes = codes
        self._start = start

    async def create(self, poster: UserId, draft: TaskDraft) -> TaskId:
        """Creates an unfunded task and returns its id.

        HX902 below $15.00 for LIVE, HX503 for a user who may not post.
        """
        applied = await self._execution.run(
            "create_task", poster, msgspec.json.encode(draft).decode()
        )
        return applied.task

    async def edit(
        self, poster: UserId, task: TaskId, changes: Mapping[str, object], version: int | None
    ) -> None:
        """Changes a task's terms: new values by column of `tasks`. HX019, HX010 VERSION."""
        await self._execution.run(
            "edit_task", poster, task, msgspec.json.encode(changes).decode(), version
        )

    async def cancel(self, poster: UserId, task: TaskId, reason: str | None) -> None:
        """Cancels an unstarted task with a full refund; HX010 once the hustler has arrived.

        The reason NO_SHOW counts against the hustler; HX010 NO-SHOW before ETA + 15 min.
        """
        await self._execution.run("cancel_task", poster, task, reason)

    async def choose(
        self, poster: UserId, task: TaskId, choice: BroadcastChoice, price_cents: int | None = None
    ) -> ChosenTask:
        """Carries out the poster's choice after a broadcast without acceptance.

        The choices are another mode (a successor), a higher price, or the end; returns the
        task that continues.
        """
        applied = await self._execution.run(
            "choose_after_broadcast", poster, task, choice, price_cents
        )
        if applied.subject_id is not None and choice == "INCREASE_PRICE":
            return ChosenTask(task, EscrowId(applied.subject_id))
        return ChosenTask(TaskId(applied.subject_id or task))

    async def arrived(self, hustler: UserId, task: TaskId, fix: KnownPosition | None) -> None:
        """Records the arrival by a fix of the last 5 minutes within 150 m of the task.

        HX021 ARRIVAL for such a fix elsewhere; without one the arrival is an unverified
        claim.
        """
        lat, lng, age_s = (fix.point.lat, fix.point.lng, fix.age_s) if fix else (None, None, None)
        await self._execution.run("mark_arrived", hustler, task, lat, lng, age_s)

    async def start(self, hustler: UserId, task: TaskId, code: str) -> None:
        """Starts the work; HX018 for a wrong code, and for any code while it is locked."""
        correct = await self._codes.is_correct(task, "START", code)
        await self._execution.run("start_task", hustler, task, correct)

    async def release(self, hustler: UserId, task: TaskId, reason: str | None) -> None:
        """Returns the task to the market; its successor, on the same escrow, is offered at once."""
        wave = await self._start.wave_of_release(task)
        await self._execution.run("release_task", hustler, task, reason, self._start.plan, wave)

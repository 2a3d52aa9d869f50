"""The reads of tasks; each raises NOT_FOUND for what is hidden from the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from engine.kernel.ids import (
    TaskId,
    UserId,
)
from engine.kernel.states import TaskState
from engine.kernel.store import Cursor, Store
from engine.tasks.codes import TaskCodes
from engine.tasks.views import TaskView, TransitionView


class Engagement(NamedTuple):
    """An ACCEPTED task that a hustler drives to; degrees."""

    hustler: UserId
    task: TaskId
    poster: UserId
    lat: float
    lng: float
    arrived: bool


class TaskQueries:
    """Reads tasks as one viewer may see them."""

    def __init__(self, store: Store, codes: TaskCodes) -> None:
        self._store = store
        self._codes = codes

    async def view(self, viewer: UserId, task: TaskId) -> TaskView:
        """Returns the task as this viewer may see it; its poster sees the codes while held."""
        return self._codes.filled_in(await self._store.found(TaskView, "task_view", viewer, task))

    async def page(
        self,
        viewer: UserId,
        role: Literal["poster", "hustler"],
        state: TaskState | None,
        after: Cursor | None,
        limit: int,
    ) -> tuple[list[TaskView], Cursor | None]:
        """Returns a page of the viewer's own tasks, newest first, and where the next one begins."""
        views, end = await self._store.page(
            TaskView, "tasks_page", viewer, role, state, after=after, limit=limit
        )
        return [self._codes.filled_in(view) for view in views], end

    async def history(self, viewer: UserId, task: TaskId) -> list[TransitionView]:
        """Returns every step of a task, oldest first, for its two sides and admins."""
        return await self._store.found(list[TransitionView], "task_history", viewer, task)

    async def seen(self, pairs: Sequence[tuple[UserId, TaskId]]) -> set[tuple[UserId, TaskId]]:
        """Returns which of these users may see which of these tasks."""
        rows = await self._store.rows(
            "tasks_seen", [user for user, _ in pairs], [task for _, task in pairs]
        )
        return {(row["viewer_id"], row["task_id"]) for row in rows}

    async def engagements(self, hustlers: Sequence[UserId]) -> list[Engagement]:
        """Returns the ACCEPTED tasks that these hustlers drive to."""
        rows = await self._store.rows("engagements", list(hustlers))
        return [
            Engagement(
                row["hustler_id"],
                row["task_id"],
                row["poster_id"],
                row["lat"],
                row["lng"],
                row["arrived"],
            )
            for row in rows
        ]

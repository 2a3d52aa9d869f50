"""The reads of disputes."""

from __future__ import annotations

from engine.disputes.views import DisputeView
from engine.kernel.ids import (
    TaskId,
    UserId,
)
from engine.kernel.store import Store


class DisputeQueries:
    """Reads disputes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of_task(self, viewer: UserId, task: TaskId) -> DisputeView:
        """Returns a task's dispute with its evidence.

        NOT_FOUND for all but the task's poster, its hustler and admins.
        """
        return await self._store.found(DisputeView, "dispute_view", viewer, task)

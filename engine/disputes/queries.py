"""What may be read of disputes."""

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
        """A task's dispute with its evidence, for its two sides and admins."""
        return await self._store.found(DisputeView, "dispute_view", viewer, task)

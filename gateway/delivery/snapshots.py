"""Snapshots for WELCOME: all users who ask within 10 ms share one query."""

from __future__ import annotations

from collections.abc import Sequence

from engine.events.queries import EventQueries
from engine.events.views import Snapshot
from engine.kernel import errors
from engine.kernel.batcher import Batcher
from engine.kernel.ids import UserId
from gateway.contract import limits


class Snapshots:
    """Batches the reads of snapshots, one query per window."""

    def __init__(self, queries: EventQueries) -> None:
        self._queries = queries
        self._window = Batcher(
            self._read,
            size=limits.SNAPSHOT_BATCH,
            window_s=limits.AUTH_WINDOW_S,
            longest_s=limits.AUTH_WINDOW_MAX_S,
        )

    async def read(self, user: UserId) -> Snapshot:
        """Returns the user's snapshot, taken after this call; raises as the query does."""
        return await self._window.ask(user)

    async def _read(self, users: Sequence[UserId]) -> list[Snapshot | Exception]:
        found = await self._queries.snapshots(users)
        return [found.get(user) or errors.refusal("INTERNAL_ERROR") for user in users]

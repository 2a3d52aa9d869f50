"""Snapshots for WELCOME: all users who ask within 10 ms share one query."""

from __future__ import annotations

import asyncio

from engine.events.queries import EventQueries
from engine.events.views import Snapshot
from engine.kernel import errors
from engine.kernel.ids import UserId
from gateway.contract import limits


class Snapshots:
    """Batches the reads of snapshots, one query per window."""

    def __init__(self, queries: EventQueries) -> None:
        self._queries = queries
        self._wanted: dict[UserId, list[asyncio.Future[Snapshot]]] = {}
        self._someone = asyncio.Event()
        self.queries_made = 0

    async def read(self, user: UserId) -> Snapshot:
        """Returns the user's snapshot, taken after this call; raises as the query does."""
        future: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()
        self._wanted.setdefault(user, []).append(future)
        self._someone.set()
        return await future

    async def run(self) -> None:
        """Answers batch after batch until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._someone.wait()
                await asyncio.sleep(limits.SNAPSHOT_WINDOW_S)
                self._someone.clear()
                wanted = list(self._wanted.items())
                self._wanted = {}
                for start in range(0, len(wanted), limits.SNAPSHOT_BATCH):
                    batch = dict(wanted[start : start + limits.SNAPSHOT_BATCH])
                    group.create_task(self._answer(batch), name="snapshots")

    async def _answer(self, batch: dict[UserId, list[asyncio.Future[Snapshot]]]) -> None:
        self.queries_made += 1
        try:
            found = await self._queries.snapshots(list(batch))
        except Exception as error:  # noqa: BLE001 - every reader gets it
            for future in (future for futures in batch.values() for future in futures):
                if not future.done():
                    future.set_exception(error)
            return
        for user, futures in batch.items():
            for future in futures:
                if future.done():
                    continue
                if user in found:
                    future.set_result(found[user])
                else:
                    future.set_exception(errors.refusal("INTERNAL_ERROR"))

"""Snapshots for WELCOME: all who ask within 10 ms share one query."""

from __future__ import annotations

import asyncio

from engine.events.queries import EventQueries
from engine.events.views import Snapshot
from engine.kernel import errors
from engine.kernel.ids import UserId
from gateway.contract import limits


class Snapshots:
    """Gathers the users of a window; its readers wait for the answer of theirs."""

    def __init__(self, queries: EventQueries) -> None:
        self._queries = queries
        self._wanted: dict[UserId, list[asyncio.Future[Snapshot]]] = {}
        self._someone = asyncio.Event()
        self.queries_made = 0

    async def read(self, user: UserId) -> Snapshot:
        """The user's snapshot, taken after this call; errors as `EventQueries.snapshots`."""
        future: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()
        self._wanted.setdefault(user, []).append(future)
        self._someone.set()
        return await future

    async def run(self) -> None:
        """Answers window after window; for ever."""
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

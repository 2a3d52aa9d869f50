"""Steps of tasks for who watches them: its sides hear all, an onlooker while the task may be seen.

What an onlooker may see is asked behind each step, for many at once: the step that takes a task out
of sight is the last one told. Those that come before the answer wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from itertools import islice
from uuid import UUID

from engine.kernel.ids import TaskId, UserId
from engine.kernel.loops import supervise
from engine.tasks.queries import TaskQueries
from gateway.contract import limits
from gateway.delivery.registry import ConnectionRegistry
from gateway.session.connection import Connection

Watch = tuple[UUID, Connection]


class Watches:
    """Writes the steps of tasks to the sockets that watch them."""

    def __init__(self, registry: ConnectionRegistry) -> None:
        self._registry = registry
        self.unsure: dict[Watch, list[bytes]] = {}
        """Watches whose right is to be asked for, each with the steps that wait for the answer."""
        self.work = asyncio.Event()
        """Set while there are some."""

    def step(self, task_id: UUID, payload: bytes, sides: Collection[UserId]) -> None:
        """Writes a step to the task's watchers; `sides` are those who get it as an event too."""
        for connection in self._registry.watchers(task_id):
            if connection.session.user_id in sides:
                _write(connection, payload)
            else:
                self._write_to_stranger((task_id, connection), payload)

    def _write_to_stranger(self, watch: Watch, payload: bytes) -> None:
        waiting = self.unsure.get(watch)
        if waiting is None:
            self.unsure[watch] = []
            self.work.set()
            _write(watch[1], payload)
        else:
            waiting.append(payload)

    def answered(self, watch: Watch, *, may_see: bool) -> None:
        """Goes on with a watch, or ends it where the task is out of its sight."""
        waiting = self.unsure.pop(watch, [])
        task_id, connection = watch
        if not may_see:
            self._registry.unwatch(connection, task_id)
            return
        for payload in waiting:
            self._write_to_stranger(watch, payload)


def _write(connection: Connection, payload: bytes) -> None:
    connection.session.outbox.append(payload)
    connection.flush()


class WatchRights:
    """The loop that asks who may still see what it watches."""

    def __init__(self, watches: Watches, tasks: TaskQueries) -> None:
        self._watches = watches
        self._tasks = tasks

    async def run(self) -> None:
        """Asks until cancelled; losing PostgreSQL only delays, and what waits is not told meanwhile."""
        await supervise("watch-rights", self.round)

    async def round(self) -> None:
        """Waits for steps that onlookers were told, then asks for a batch of these."""
        await self._watches.work.wait()
        asked = list(islice(self._watches.unsure, limits.COMPARE_BATCH))
        pairs = [
            (user, TaskId(task_id))
            for task_id, connection in asked
            if (user := connection.session.user_id) is not None
        ]
        seen = await self._tasks.seen(pairs)
        for task_id, connection in asked:
            user = connection.session.user_id
            self._watches.answered((task_id, connection), may_see=(user, task_id) in seen)
        if not self._watches.unsure:
            self._watches.work.clear()

"""In-memory hand-over of a poster's start and completion codes to the hustler.

The contract shows the codes to the poster alone; people pass them on in person, outside of the
service.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Codes:
    """The six-digit codes that start a task's work and complete it."""

    start: str
    completion: str


class CodeExchange:
    """Codes by task: posters publish them, hustlers wait for them."""

    def __init__(self) -> None:
        self._codes: dict[UUID, asyncio.Future[Codes]] = {}

    def publish(self, task_id: UUID, codes: Codes) -> None:
        """Publishes a task's codes; later calls for the same task are ignored."""
        future = self._at(task_id)
        if not future.done():
            future.set_result(codes)

    async def wait_for(self, task_id: UUID, timeout_s: float) -> Codes:
        """Returns a task's codes once published; raises TimeoutError when that takes too long."""
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self._at(task_id))

    def forget(self, task_id: UUID) -> None:
        """Drops the codes of a task that has ended."""
        self._codes.pop(task_id, None)

    def _at(self, task_id: UUID) -> asyncio.Future[Codes]:
        if task_id not in self._codes:
            self._codes[task_id] = asyncio.get_running_loop().create_future()
        return self._codes[task_id]

"""The poster's start and completion codes, handed to the hustler in person.

The contract shows the codes to the poster alone; only here, outside of the service, do they pass.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Codes:
    """The six digits that start the work and those that end it."""

    start: str
    completion: str


class CodeExchange:
    """The codes by task: posters publish them, hustlers wait for them."""

    def __init__(self) -> None:
        self._codes: dict[UUID, asyncio.Future[Codes]] = {}

    def publish(self, task_id: UUID, codes: Codes) -> None:
        """Makes a task's codes known; the first ones count."""
        future = self._at(task_id)
        if not future.done():
            future.set_result(codes)

    async def wait_for(self, task_id: UUID, timeout_s: float) -> Codes:
        """The codes, once the poster has published them; TimeoutError when that takes too long."""
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self._at(task_id))

    def forget(self, task_id: UUID) -> None:
        """The task is over."""
        self._codes.pop(task_id, None)

    def _at(self, task_id: UUID) -> asyncio.Future[Codes]:
        if task_id not in self._codes:
            self._codes[task_id] = asyncio.get_running_loop().create_future()
        return self._codes[task_id]

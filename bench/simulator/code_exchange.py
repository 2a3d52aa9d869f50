"""What two people tell each other in person: the poster's codes reach the hustler at the door.

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


class Doorstep:
    """Where hustlers ask and posters tell, task by task."""

    def __init__(self) -> None:
        self._told: dict[UUID, asyncio.Future[Codes]] = {}

    def tell(self, task_id: UUID, codes: Codes) -> None:
        """The poster knows the codes and will say them when asked."""
        told = self._at(task_id)
        if not told.done():
            told.set_result(codes)

    async def ask(self, task_id: UUID, timeout_s: float) -> Codes:
        """The codes, once the poster has them; TimeoutError when nobody opens the door."""
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self._at(task_id))

    def forget(self, task_id: UUID) -> None:
        """The task is over."""
        self._told.pop(task_id, None)

    def _at(self, task_id: UUID) -> asyncio.Future[Codes]:
        if task_id not in self._told:
            self._told[task_id] = asyncio.get_running_loop().create_future()
        return self._told[task_id]

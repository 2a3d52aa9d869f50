"""What a command that starts a broadcast hands to SQL: the plan, and the first wave's candidates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import msgspec
import structlog

from engine.kernel.broadcast_params import StartingTask
from engine.kernel.ids import TaskId
from engine.kernel.store import Store
from engine.live.broadcast_plan import BroadcastPlan
from engine.live.first_wave import FirstWave

log = structlog.get_logger(__name__)

FIRST_WAVE_TIMEOUT_S: Final = 0.25
"""Candidates not found by then are nobody: money never waits longer for a first wave."""


class BroadcastStart:
    """The plan of new broadcasts, and the search for those who are offered them at once.

    A search never raises: a failure is logged and counted once, and nobody is found. The broadcast
    starts all the same, and its broadcaster makes the wave.
    """

    def __init__(
        self,
        store: Store,
        plan: BroadcastPlan,
        first_wave: FirstWave,
        failed: Callable[[], object],
    ) -> None:
        """`failed` is called for each search that failed."""
        self._store = store
        self._radius_miles = plan.initial_radius_miles
        self._first_wave = first_wave
        self._failed = failed
        self.plan = msgspec.json.encode(plan).decode()
        """The plan as JSON: `p_plan` of every function that may start a broadcast."""

    @asynccontextmanager
    async def searching(
        self, starting: StartingTask | None
    ) -> AsyncIterator[Awaitable[str | None]]:
        """Searches while something else is waited for; yields what is awaited for `p_wave`."""
        search = asyncio.create_task(self._within_time(self._candidates, starting))
        try:
            yield search
        finally:
            search.cancel()
            await asyncio.wait([search])

    async def wave_of_payment(self, escrow: UUID | str | None, payment: str | None) -> str | None:
        """Returns `p_wave` for a payment by its escrow or its name at the provider."""
        return await self._within_time(self._asked, "task_of_payment", escrow, payment)

    async def wave_of_release(self, task: TaskId) -> str | None:
        """Returns `p_wave` for the successor of a task that its hustler gives back."""
        return await self._within_time(self._asked, "task_of_release", task)

    async def _asked(self, function: str, *arguments: object) -> str | None:
        return await self._candidates(
            await self._store.call(StartingTask | None, function, *arguments)  # type: ignore[arg-type]
        )

    async def _candidates(self, starting: StartingTask | None) -> str | None:
        if starting is None:
            return None
        found = await self._first_wave.candidates(starting, self._radius_miles)
        return None if found is None else msgspec.json.encode(found).decode()

    async def _within_time(
        self, search: Callable[..., Awaitable[str | None]], *arguments: object
    ) -> str | None:
        try:
            async with asyncio.timeout(FIRST_WAVE_TIMEOUT_S):
                return await search(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, the money is more important
            log.warning("no_first_wave", error=repr(error))
            self._failed()
            return None

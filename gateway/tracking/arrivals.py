"""Arrivals at a task's location: seen in a fix or claimed by the hustler, then recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from engine.api.commands import Commands
from engine.kernel.errors import Refusal
from engine.kernel.ids import TaskId, UserId
from engine.tasks.commands import KnownPosition
from gateway.tracking.en_route import EnRoute
from gateway.tracking.heartbeats import Heartbeats
from gateway.tracking.tracked_hustlers import TrackedHustler
from geo.points import LatLng
from geo.presence.present_hustlers import OLD_FIX_MS
from geo.valkey import ValkeyAway

log = structlog.get_logger(__name__)

OLD_FIX_S: Final = OLD_FIX_MS / 1000
"""A fix older than this is too stale to show an arrival."""
AGAIN_S: Final = 1.0
"""Seconds after which a row that was locked is tried again."""


class Arrivals:
    """Queue of arrivals to record in the database; `wake` is called when there is a new one."""

    def __init__(
        self,
        commands: Commands,
        heartbeats: Heartbeats,
        en_route: EnRoute,
        tracked_hustlers: Mapping[UserId, TrackedHustler],
        *,
        unix: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._commands = commands
        self._heartbeats = heartbeats
        self._en_route = en_route
        self._tracked = tracked_hustlers
        self._unix = unix
        self._wake = wake
        self._seen: set[tuple[UserId, TaskId]] = set()

    def __bool__(self) -> bool:
        """Returns whether any arrival waits to be recorded."""
        return bool(self._seen)

    async def claim(self, user: UserId, task: TaskId) -> None:
        """Records the hustler's claim to have arrived; the last known fix confirms or refuses it.

        Raises HX021 ARRIVAL for a fresh fix elsewhere; without a fresh one it stays a claim.
        """
        await self._commands.tasks.arrived(user, task, await self._known_position(user))

    def moved(self, user: UserId, point: LatLng) -> None:
        """Sends a hustler's fresh fix to the posters of their tasks, and queues arrivals in it."""
        for task in self._en_route.moved(user, point):
            self._see(user, task)

    def look(self, user: UserId) -> None:
        """Checks the last fix of a hustler whose tasks have changed for arrivals."""
        tracked = self._tracked.get(user)
        if tracked is None or time.monotonic() - tracked.fixed_at > OLD_FIX_S:
            return
        if user in self._en_route:
            self.moved(user, tracked.track.point)

    async def record(self) -> None:
        """Records the queued arrivals; a refused one is detected again with the next fix."""
        for user, task in tuple(self._seen):
            if not await self._record(user, task):
                await self._en_route.load([user])
            self._seen.discard((user, task))

    async def _record(self, user: UserId, task: TaskId) -> bool:
        fix = await self._known_position(user)
        if fix is None or fix.age_s > OLD_FIX_S:
            return False
        try:
            await self._commands.tasks.arrived(user, task, fix)
        except Refusal as refusal:
            log.info("arrival_refused", task=str(task), code=refusal.kind.code)
            if refusal.kind.retryable:
                # The row is locked: tried again later, without waiting.
                asyncio.get_running_loop().call_later(AGAIN_S, self._see, user, task)
            return False
        return True

    async def _known_position(self, user: UserId) -> KnownPosition | None:
        """Returns the hustler's position known to this process, else presence's."""
        tracked = self._tracked.get(user)
        if tracked is not None:
            return KnownPosition(tracked.track.point, self._unix() - tracked.track.at_s)
        try:
            position = (await self._heartbeats.last_positions([user])).get(user)
        except ValkeyAway:
            return None
        return (
            KnownPosition(position.point, self._unix() - position.fixed_at_s) if position else None
        )

    def _see(self, user: UserId, task: TaskId) -> None:
        self._seen.add((user, task))
        self._wake()

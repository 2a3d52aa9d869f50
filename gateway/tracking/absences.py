"""Ends LIVE sessions without a heartbeat for five minutes as OFFLINE (design §2, Live mode).

Each process ends those of the hustlers whom it heard last, at a cost of who has fallen silent. What a
process that died has left is found by one of the others, which looks through all open sessions at a
slower pace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from engine.api.commands import Commands
from engine.api.queries import Queries
from engine.kernel.errors import Refusal
from engine.kernel.ids import UserId
from engine.kernel.lanes import in_lanes
from engine.kernel.leases import Lease
from engine.kernel.loops import supervise
from gateway.contract import limits
from gateway.tracking.heartbeats import Heartbeats
from geo.presence.presence import Presence

log = structlog.get_logger()

_BEFORE_ALL: Final = UUID(int=0)


class Absences:
    """Asks presence who is still there; never right after Valkey or this process began."""

    def __init__(
        self,
        commands: Commands,
        queries: Queries,
        presence: Presence,
        heartbeats: Heartbeats,
        lease: Lease,
    ) -> None:
        """`lease` divides the look through all sessions among the processes."""
        self._commands = commands
        self._queries = queries
        self._presence = presence
        self._heartbeats = heartbeats
        self._lease = lease

    async def run(self) -> None:
        """Runs rounds until cancelled."""
        await supervise("absences", self.round)

    async def round(self) -> None:
        """Waits for the next interval, then ends who is away."""
        await asyncio.sleep(limits.IDLE_SWEEP_EVERY_S)
        if time.monotonic() - self._heartbeats.lost_at >= limits.IDLE_ENDS_SESSION_S:
            await self.end_silent()
            await self._lease.run(self.sweep, every_s=limits.ORPHAN_SWEEP_EVERY_S)

    async def end_silent(self) -> list[UserId]:
        """Ends the sessions of hustlers whom this process heard last; returns those hustlers.

        Nothing is asked while nobody has fallen silent.
        """
        since = time.monotonic() - limits.IDLE_ENDS_SESSION_S
        silent = [tracked.user for tracked in self._heartbeats.live if tracked.heard_at <= since]
        away = await self._absent(silent) if silent else []
        if not away:
            return []
        return await self._end(
            await self._queries.live.endable_of(away, limits.IDLE_ENDS_SESSION_S)
        )

    async def sweep(self) -> list[UserId]:
        """Ends long-open sessions of all hustlers absent from presence; returns those hustlers."""
        since = time.monotonic() - limits.IDLE_ENDS_SESSION_S
        heard = {tracked.user for tracked in self._heartbeats.live if tracked.heard_at > since}
        ended: list[UserId] = []
        after = _BEFORE_ALL
        while batch := await self._queries.live.endable_after(
            after, limits.IDLE_ENDS_SESSION_S, limits.ORPHAN_BATCH
        ):
            after = batch[-1]
            away = await self._absent([user for user in batch if user not in heard])
            ended += await self._end(away)
        return ended

    async def _absent(self, hustlers: Sequence[UserId]) -> list[UserId]:
        """Returns those whom presence has not heard of."""
        present = await self._presence.present(hustlers)
        return [user for user in hustlers if user not in present]

    async def _end(self, hustlers: Sequence[UserId]) -> list[UserId]:
        """Ends these sessions, some at a time; returns whose have ended."""
        ended = await in_lanes(hustlers, self._ended, lanes=limits.ENDED_AT_ONCE)
        return [user for user, done in zip(hustlers, ended, strict=True) if done]

    async def _ended(self, user: UserId) -> bool:
        """Ends one session; returns False while its row is locked, for the next sweep to retry."""
        try:
            await self._commands.live.expire_idle_session(user)
        except Refusal as refusal:
            log.info("absence_waits", hustler=str(user), code=refusal.kind.code)
            return False
        return True

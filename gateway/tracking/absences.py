"""Ends LIVE sessions without a heartbeat for five minutes as OFFLINE (design §2, Live mode)."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Final

import structlog

from engine.api.commands import Commands
from engine.api.queries import Queries
from engine.kernel.errors import Refusal
from engine.kernel.ids import UserId
from engine.kernel.loops import supervise
from gateway.contract import limits
from gateway.tracking.heartbeats import Heartbeats
from geo.presence.presence import Presence

log = structlog.get_logger()

_AWAY: Final = timedelta(seconds=limits.IDLE_ENDS_SESSION_S)


class Absences:
    """Asks presence who is still there; never right after Valkey or this process began."""

    def __init__(
        self, commands: Commands, queries: Queries, presence: Presence, heartbeats: Heartbeats
    ) -> None:
        self._commands = commands
        self._queries = queries
        self._presence = presence
        self._heartbeats = heartbeats

    async def run(self) -> None:
        """Runs rounds until cancelled."""
        await supervise("absences", self.round)

    async def round(self) -> None:
        """Waits for the next interval, then sweeps."""
        await asyncio.sleep(limits.IDLE_SWEEP_EVERY_S)
        if time.monotonic() - self._heartbeats.lost_at >= limits.IDLE_ENDS_SESSION_S:
            await self.sweep()

    async def sweep(self) -> list[UserId]:
        """Ends long-open sessions of hustlers absent from presence; returns those hustlers."""
        sessions = await self._queries.live.open_sessions()
        if not sessions:
            return []
        now = await self._queries.clock.now()
        long_open = [user for user, since in sessions if now - since > _AWAY]
        present = await self._presence.present(long_open)
        heard_since = time.monotonic() - limits.IDLE_ENDS_SESSION_S
        heard = {t.user for t in self._heartbeats.live if t.heard_at > heard_since}
        away = [user for user in long_open if user not in present and user not in heard]
        return [user for user in away if await self._ended(user)]

    async def _ended(self, user: UserId) -> bool:
        """Ends one session; returns False while its row is locked, for the next sweep to retry."""
        try:
            await self._commands.live.expire_idle_session(user)
        except Refusal as refusal:
            log.info("absence_waits", hustler=str(user), code=refusal.kind.code)
            return False
        return True

"""A hustler's commands in LIVE mode and on offers."""

from __future__ import annotations

from typing import Final, Literal

from engine.kernel.applied import Applied
from engine.kernel.execution import Execution
from engine.kernel.ids import (
    BroadcastId,
    TaskId,
    UserId,
)
from engine.kernel.store import Store
from engine.live.queries import LastFix

OfferResponse = Literal["ACCEPT", "DECLINE", "SKIP"]
EndReason = Literal["MANUAL", "OFFLINE", "FORCED"]
PATIENCE_MS: Final = 50
"""How long the sweep over idle sessions waits for a row that somebody else holds."""


class LiveCommands:
    """Opens and ends LIVE sessions, and answers offers; each returns the `Applied` result."""

    def __init__(self, execution: Execution, store: Store) -> None:
        self._execution = execution
        self._store = store

    async def accept(self, hustler: UserId, task: TaskId, version: int | None = None) -> Applied:
        """Accepts a task; outcome WON, TAKEN or EXPIRED, decided by the row lock (design §6)."""
        return await self._execution.run("accept_task", hustler, task, version)

    async def respond(
        self,
        hustler: UserId,
        broadcast: BroadcastId,
        response: OfferResponse,
        decline_reason: str | None = None,
    ) -> Applied:
        """Answers an offer; outcome WON, TAKEN, EXPIRED, DECLINED or SKIPPED."""
        return await self._execution.run(
            "respond_to_offer", hustler, broadcast, response, decline_reason
        )

    async def go_live(
        self, hustler: UserId, radius_miles: float | None, categories: list[str] | None
    ) -> Applied:
        """Opens a LIVE session or changes its limits; HX904 too soon, HX905 banned."""
        return await self._execution.run("go_live", hustler, radius_miles, categories)

    async def end(self, hustler: UserId, reason: EndReason) -> Applied:
        """Ends the hustler's LIVE session, if there is one; never refused."""
        return await self._execution.run("end_live", hustler, reason)

    async def end_impossible(self, hustler: UserId) -> Applied:
        """Ends a session for impossible positions; the third within 30 days is a ban."""
        return await self._execution.run("end_impossible_session", hustler)

    async def keep_fix(self, user: UserId, fix: LastFix) -> None:
        """Stores a user's last accepted fix, unless a newer one is stored."""
        await self._store.execute("keep_fix", user, fix.lat, fix.lng, fix.accuracy_m, fix.fixed_at)

    async def expire_idle_session(self, hustler: UserId) -> Applied:
        """Ends the session of a hustler who has been away, unless they hold a task."""
        return await self._execution.run(
            "expire_idle_session", hustler, lock_timeout_ms=PATIENCE_MS
        )

"""A hustler's commands in LIVE mode and on offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from engine.kernel.applied import Applied
from engine.kernel.batcher import Batcher
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
SESSIONS_PER_TRANSACTION: Final = 50
"""LIVE sessions that one transaction opens; see `go_live_together` for the most that it takes."""
FIXES_PER_QUERY: Final = 500


class _LiveWish(NamedTuple):
    hustler: UserId
    radius_miles: float | None
    categories: tuple[str, ...] | None


class LiveCommands:
    """Opens and ends LIVE sessions, and answers offers; each returns the `Applied` result."""

    def __init__(self, execution: Execution, store: Store) -> None:
        self._execution = execution
        self._store = store
        self._opening = Batcher(self._open_sessions, size=SESSIONS_PER_TRANSACTION, at_once=2)
        self._keeping = Batcher(self._keep_fixes, size=FIXES_PER_QUERY)

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
        """Opens a LIVE session or changes its limits; HX904 too soon, HX905 banned.

        Many who ask at once share a transaction; each has its own outcome.
        """
        wish = _LiveWish(hustler, radius_miles, None if categories is None else tuple(categories))
        done = await self._opening.ask(wish)
        # a rule refuses it, or somebody else holds the row: asked alone it says which, and waits
        return await self._execution.run("go_live", *wish) if done is None else done

    async def _open_sessions(self, wishes: Sequence[_LiveWish]) -> list[Applied | None]:
        hustlers, radii, categories = zip(*wishes, strict=True)
        return await self._execution.run_together(
            "go_live_together", hustlers, radii, msgspec.json.encode(categories).decode()
        )

    async def end(self, hustler: UserId, reason: EndReason) -> Applied:
        """Ends the hustler's LIVE session, if there is one; never refused."""
        return await self._execution.run("end_live", hustler, reason)

    async def end_impossible(self, hustler: UserId) -> Applied:
        """Ends a session for impossible positions; the third within 30 days is a ban."""
        return await self._execution.run("end_impossible_session", hustler)

    async def keep_fix(self, user: UserId, fix: LastFix) -> None:
        """Stores a user's last accepted fix, unless a newer one is stored; many share a query."""
        await self._keeping.ask((user, fix))

    async def _keep_fixes(self, fixes: Sequence[tuple[UserId, LastFix]]) -> list[None]:
        rows = [(user, fix.lat, fix.lng, fix.accuracy_m, fix.fixed_at) for user, fix in fixes]
        await self._store.execute("keep_fixes", *map(list, zip(*rows, strict=True)))
        return [None] * len(fixes)

    async def expire_idle_session(self, hustler: UserId) -> Applied:
        """Ends the session of a hustler who has been away, unless they hold a task."""
        return await self._execution.run(
            "expire_idle_session", hustler, lock_timeout_ms=PATIENCE_MS
        )

"""The reads of LIVE mode and its offers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from engine.kernel import errors
from engine.kernel.batcher import Batcher
from engine.kernel.ids import UserId
from engine.kernel.store import Store
from engine.live.views import ChangedBroadcast, LiveView, OfferCard

READS_PER_QUERY: Final = 500
"""Users whose state or fix one query reads."""

_DECODE_VIEW = msgspec.json.Decoder(LiveView).decode


class LastFix(NamedTuple):
    """A user's last accepted fix; degrees, metres."""

    lat: float
    lng: float
    accuracy_m: float
    fixed_at: datetime
    kept_for_s: float = 0.0
    """By the database's clock: time that `hustlexp clock advance` lets pass counts."""


class HustlerState(NamedTuple):
    """Whether a hustler is in LIVE mode, and whether offers can be shown to them."""

    hustler: UserId
    is_live: bool
    is_offerable: bool
    """LIVE mode is ACTIVE, and no task in hand keeps them from another."""


class LiveQueries:
    """Reads LIVE states, sessions and open offers."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._views = Batcher(self._read_views, size=READS_PER_QUERY)
        self._fixes = Batcher(self._read_fixes, size=READS_PER_QUERY)

    async def state(self, user: UserId) -> LiveView:
        """Returns the caller's LIVE state at this instant; many who ask share a query."""
        return await self._views.ask(user)

    async def _read_views(self, users: Sequence[UserId]) -> list[LiveView | Exception]:
        rows = await self._store.rows("live_views", list(users))
        return [
            _DECODE_VIEW(row["view"]) if row["is_there"] else errors.refusal("NOT_FOUND")
            for row in rows
        ]

    async def states(self, users: Sequence[UserId]) -> list[HustlerState]:
        """Returns the state of each of these users at this instant."""
        rows = await self._store.rows("hustler_states", list(users))
        return [HustlerState(*row.values()) for row in rows]

    async def ended(self, broadcasts: Sequence[UUID]) -> list[ChangedBroadcast]:
        """Returns those of these broadcasts that have ended."""
        rows = await self._store.rows("broadcasts_ended", list(broadcasts))
        return [ChangedBroadcast(*row.values()) for row in rows]

    async def last_fix(self, user: UserId) -> LastFix | None:
        """Returns the user's last accepted fix, or None; many who ask share a query."""
        return await self._fixes.ask(user)

    async def _read_fixes(self, users: Sequence[UserId]) -> list[LastFix | None]:
        rows = await self._store.rows("last_fixes", list(users))
        found = {row["user_id"]: LastFix(*tuple(row.values())[1:]) for row in rows}
        return [found.get(user) for user in users]

    async def endable_of(self, hustlers: Sequence[UserId], open_s: float) -> list[UserId]:
        """Returns those with a session that has been open for `open_s`, and no task in hand."""
        rows = await self._store.rows("endable_sessions_of", list(hustlers), open_s)
        return [row["user_id"] for row in rows]

    async def endable_after(self, hustler: UUID, open_s: float, limit: int) -> list[UserId]:
        """Returns of all hustlers, by id, the next ones behind `hustler` as `endable_of` does."""
        rows = await self._store.rows("endable_sessions_after", hustler, open_s, limit)
        return [row["user_id"] for row in rows]

    async def offers(self, user: UserId) -> list[OfferCard]:
        """Returns the caller's open offers, best first."""
        return await self._store.call(list[OfferCard], "offers_view", user)

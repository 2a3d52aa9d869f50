"""The reads of XP, levels, streaks, trust and badges."""

from __future__ import annotations

from engine.kernel.ids import (
    BadgeId,
    UserId,
)
from engine.kernel.store import Store
from engine.progress.views import BadgeView, ProgressView


class ProgressQueries:
    """Reads XP, level, streak, trust and badges."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def progress(self, user: UserId) -> ProgressView:
        """Returns the caller's XP, level, streak, trust, badges and LIVE record."""
        return await self._store.found(ProgressView, "progress_view", user)

    async def badge(self, badge: BadgeId) -> BadgeView:
        """Returns a badge; NOT_FOUND for an unknown id."""
        return await self._store.found(BadgeView, "badge_view", badge)

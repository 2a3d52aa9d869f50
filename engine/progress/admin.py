"""What admins read and do about progress."""

from __future__ import annotations

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    AwardId,
    BadgeId,
    UserId,
)
from engine.kernel.store import Store
from engine.progress.admin_views import XpRowView


class ProgressAdmin:
    """Trust tiers, badges and the XP ledger."""

    def __init__(self, execution: Execution, store: Store) -> None:
        self._execution = execution
        self._store = store

    async def set_trust_tier(self, admin: UserId, user: UserId, tier: int, reason: str) -> None:
        """Put a hustler on tier 1 to 4; the trust ledger says by whom."""
        await self._execution.run("set_trust_tier", admin, user, tier, reason)

    async def grant_badge(self, admin: UserId, user: UserId, badge_type: str, reason: str) -> None:
        """Grant a badge that was not earned by its rule."""
        await self._execution.run("grant_badge", admin, user, badge_type, reason)

    async def revoke_badge(self, admin: UserId, badge: BadgeId, reason: str) -> None:
        """Hide a badge that was granted in error."""
        await self._execution.run("revoke_badge", admin, badge, reason)

    async def flag_xp(self, admin: UserId, award: AwardId, reason: str) -> None:
        """Mark a row of the XP ledger as wrong; the row and the total stay (architecture §8.4)."""
        await self._execution.run("flag_xp", admin, award, reason)

    async def xp_row(self, award: AwardId) -> XpRowView:
        """One row of the XP ledger."""
        return await self._store.found(XpRowView, "xp_row", award)

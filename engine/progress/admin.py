"""The admin's reads and commands on trust tiers, badges and XP."""

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
    """Sets trust tiers, grants and revokes badges, and flags rows of the XP ledger."""

    def __init__(self, execution: Execution, store: Store) -> None:
        self._execution = execution
        self._store = store

    async def set_trust_tier(self, admin: UserId, user: UserId, tier: int, reason: str) -> None:
        """Sets a hustler's trust tier, 1 to 4; the trust ledger records the admin."""
        await self._execution.run("set_trust_tier", admin, user, tier, reason)

    async def grant_badge(self, admin: UserId, user: UserId, badge_type: str, reason: str) -> None:
        """Grants a badge that was not earned by its rule."""
        await self._execution.run("grant_badge", admin, user, badge_type, reason)

    async def revoke_badge(self, admin: UserId, badge: BadgeId, reason: str) -> None:
        """Revokes a badge that was granted in error; it is hidden from then on."""
        await self._execution.run("revoke_badge", admin, badge, reason)

    async def flag_xp(self, admin: UserId, award: AwardId, reason: str) -> None:
        """Flags a row of the XP ledger as wrong; row and total stay (architecture §8.4)."""
        await self._execution.run("flag_xp", admin, award, reason)

    async def xp_row(self, award: AwardId) -> XpRowView:
        """Returns a row of the XP ledger; NOT_FOUND for an unknown id."""
        return await self._store.found(XpRowView, "xp_row", award)

"""What admins do about somebody's LIVE mode."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    UserId,
)

LiveAct = Literal["END_SESSION", "SET_COOLDOWN", "END_COOLDOWN"]


class LiveAdmin:
    """Bans, sessions and cooldowns."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def ban(self, admin: UserId, user: UserId, until: datetime, reason: str) -> None:
        """No LIVE mode until then, at most ten years ahead; an open session ends."""
        await self._execution.run("live_ban", admin, user, until, reason)

    async def lift_ban(self, admin: UserId, user: UserId, reason: str) -> None:
        """End a ban from LIVE mode now, whoever set it."""
        await self._execution.run("lift_live_ban", admin, user, reason)

    async def act(
        self, admin: UserId, user: UserId, act: LiveAct, until: datetime | None, reason: str
    ) -> None:
        """End one LIVE session or one cooldown, or set a cooldown of at most seven days.

        HX601 for ending a forced rest, which nobody ends.
        """
        await self._execution.run("admin_live", admin, user, act, until, reason)

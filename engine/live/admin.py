"""The admin's commands on LIVE mode."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    UserId,
)

LiveAct = Literal["END_SESSION", "SET_COOLDOWN", "END_COOLDOWN"]


class LiveAdmin:
    """Bans hustlers from LIVE mode, and ends or sets sessions and cooldowns."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def ban(self, admin: UserId, user: UserId, until: datetime, reason: str) -> None:
        """Bans a hustler from LIVE mode until then, at most ten years ahead; ends the session."""
        await self._execution.run("live_ban", admin, user, until, reason)

    async def lift_ban(self, admin: UserId, user: UserId, reason: str) -> None:
        """Lifts a ban from LIVE mode now, whether an admin or a rule set it."""
        await self._execution.run("lift_live_ban", admin, user, reason)

    async def act(
        self, admin: UserId, user: UserId, act: LiveAct, until: datetime | None, reason: str
    ) -> None:
        """Ends one LIVE session or one cooldown, or sets a cooldown of at most seven days.

        HX601 for ending a forced rest, which no admin may end.
        """
        await self._execution.run("admin_live", admin, user, act, until, reason)

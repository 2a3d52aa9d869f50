"""A user's commands on their own progress."""

from __future__ import annotations

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    BadgeId,
    UserId,
)


class ProgressCommands:
    """Records that the unlock of a badge was shown."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def show_badge(self, user: UserId, badge: BadgeId) -> None:
        """Records that the unlock animation was shown; only the first time counts."""
        await self._execution.run("show_badge", user, badge)

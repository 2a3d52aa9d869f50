"""What people may change about their own account."""

from __future__ import annotations

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    UserId,
)


class PeopleCommands:
    """Changes one's own account."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def set_time_zone(self, user: UserId, time_zone: str) -> None:
        """Whose days the streak counts; VALIDATION_ERROR for a name the server does not know."""
        await self._execution.run("set_time_zone", user, time_zone)

"""A user's commands on their own account."""

from __future__ import annotations

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    UserId,
)


class PeopleCommands:
    """Changes the caller's own account."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def set_time_zone(self, user: UserId, time_zone: str) -> None:
        """Sets the time zone of the streak's days; VALIDATION_ERROR for an unknown name."""
        await self._execution.run("set_time_zone", user, time_zone)

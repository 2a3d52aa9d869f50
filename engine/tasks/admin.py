"""What admins do about a task."""

from __future__ import annotations

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    TaskId,
    UserId,
)


class TaskAdmin:
    """Ends, locks and unlocks tasks."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def cancel(self, admin: UserId, task: TaskId, reason: str) -> None:
        """End a task that nobody has arrived for, with a full refund."""
        await self._execution.run("admin_cancel_task", admin, task, reason)

    async def dispute(self, admin: UserId, task: TaskId, reason: str) -> None:
        """Lock the money of a task that a hustler holds, for another admin to decide about it."""
        await self._execution.run("admin_dispute_task", admin, task, reason)

    async def unlock_codes(self, admin: UserId, task: TaskId, reason: str) -> None:
        """Let the hustler try the task's codes again at once."""
        await self._execution.run("unlock_codes", admin, task, reason)

"""The admin's commands on tasks."""

from __future__ import annotations

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    TaskId,
    UserId,
)


class TaskAdmin:
    """Cancels tasks, opens disputes about them, and unlocks their codes."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def cancel(self, admin: UserId, task: TaskId, reason: str) -> None:
        """Cancels a task before the hustler's arrival, with a full refund."""
        await self._execution.run("admin_cancel_task", admin, task, reason)

    async def dispute(self, admin: UserId, task: TaskId, reason: str) -> None:
        """Opens a dispute about a held task and locks its escrow; another admin resolves it."""
        await self._execution.run("admin_dispute_task", admin, task, reason)

    async def unlock_codes(self, admin: UserId, task: TaskId, reason: str) -> None:
        """Lifts the lock after wrong tries: the hustler may enter the codes again at once."""
        await self._execution.run("unlock_codes", admin, task, reason)

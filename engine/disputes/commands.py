"""What either side of a task may do in a dispute."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    TaskId,
    UserId,
)


class DisputeCommands:
    """Opens disputes and takes evidence."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def open(self, user: UserId, task: TaskId, reason: str) -> None:
        """Lock the money and ask for a decision; HX010 before arrival."""
        await self._execution.run("dispute_task", user, task, reason)

    async def add_evidence(
        self, user: UserId, task: TaskId, text: str, uploads: Sequence[UUID]
    ) -> None:
        """What one side has to say in the task's dispute; at most 20 pieces each."""
        await self._execution.run("add_evidence", user, task, text, list(uploads))

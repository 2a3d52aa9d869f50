"""The commands of a task's poster and hustler on its dispute."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    TaskId,
    UserId,
)


class DisputeCommands:
    """Opens disputes and adds evidence."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def open(self, user: UserId, task: TaskId, reason: str) -> None:
        """Opens a dispute about a task and locks its escrow; HX010 before arrival."""
        await self._execution.run("dispute_task", user, task, reason)

    async def add_evidence(
        self, user: UserId, task: TaskId, text: str, uploads: Sequence[UUID]
    ) -> None:
        """Adds one side's text and photos to the task's dispute; at most 20 pieces a side."""
        await self._execution.run("add_evidence", user, task, text, list(uploads))

"""The commands of a task's hustler and poster on its proof."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    ProofId,
    TaskId,
    UserId,
)
from engine.tasks.codes import TaskCodes


class ProofCommands:
    """Submits, approves and rejects proofs."""

    def __init__(self, execution: Execution, codes: TaskCodes) -> None:
        self._execution = execution
        self._codes = codes

    async def approve(self, poster: UserId, task: TaskId) -> None:
        """Approves the proof; the settlement pays the hustler."""
        await self._execution.run("approve_task", poster, task)

    async def reject(self, poster: UserId, task: TaskId, reason: str) -> None:
        """Rejects the proof; the third rejection opens a dispute."""
        await self._execution.run("reject_task", poster, task, reason)

    async def submit(self, hustler: UserId, task: TaskId, code: str | None) -> ProofId:
        """Submits the completion code as proof (None where the task asks for none)."""
        if code is None:
            applied = await self._execution.run("submit_proof", hustler, task, "NONE", True)
        else:
            correct = await self._codes.is_correct(task, "COMPLETION", code)
            applied = await self._execution.run("submit_proof", hustler, task, "CODE", correct)
        return ProofId(applied.subject)

    async def submit_photos(
        self, hustler: UserId, task: TaskId, uploads: Sequence[UUID]
    ) -> ProofId:
        """Submits 1 to 5 own unused uploads as proof; returns the proof's id.

        HX301 with too few, HX022 for any other upload.
        """
        applied = await self._execution.run("submit_photo_proof", hustler, task, list(uploads))
        return ProofId(applied.subject)

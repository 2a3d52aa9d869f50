"""Start and completion codes: derived, never stored.

A code is six digits of HMAC-SHA256(server key, task, kind, generation). The database keeps the
generation and counts wrong tries; the event log never holds a code (design §2, Codes).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from engine.kernel.ids import TaskId
from engine.kernel.store import Store
from engine.tasks.views import TaskView

CodeKind = Literal["START", "COMPLETION"]


@dataclass(frozen=True, slots=True)
class CodeBook:
    """Derives and compares codes under one secret key of at least 32 bytes."""

    key: bytes

    def __post_init__(self) -> None:
        if len(self.key) < 32:
            raise ValueError("the key of the task codes needs at least 32 bytes")

    def code(self, task: TaskId, kind: CodeKind, generation: int) -> str:
        """Returns the code: six decimal digits."""
        message = f"{task}:{kind}:{generation}".encode()
        digest = hmac.digest(self.key, message, hashlib.sha256)
        return f"{int.from_bytes(digest[:8]) % 1_000_000:06d}"

    def is_correct(self, task: TaskId, kind: CodeKind, generation: int, entered: str) -> bool:
        """Returns whether `entered` is the code, compared in constant time."""
        return hmac.compare_digest(self.code(task, kind, generation).encode(), entered.encode())


class TaskCodes:
    """The codes of stored tasks: derived from the generation that the database keeps."""

    def __init__(self, store: Store, book: CodeBook) -> None:
        self._store = store
        self._book = book

    async def is_correct(self, task: TaskId, kind: CodeKind, code: str) -> bool:
        """Returns whether `code` is the task's present one; False where it has none."""
        generation = await self._store.value("code_generation", task, kind)
        return generation is not None and self._book.is_correct(task, kind, generation, code)

    async def start_codes(self, tasks: Sequence[TaskId]) -> dict[TaskId, str]:
        """Returns the start codes by task, to show the posters in JOB_ASSIGNED."""
        rows = await self._store.rows("code_generations", list(tasks), "START")
        return {
            row["task_id"]: self._book.code(row["task_id"], "START", row["generation"])
            for row in rows
        }

    def filled_in(self, view: TaskView) -> TaskView:
        """Returns the view with its codes filled in, where the viewer may see them."""
        if not isinstance(view.code_generation, int):
            return view
        task = TaskId(view.id)
        return msgspec.structs.replace(
            view,
            code_generation=msgspec.UNSET,
            start_code=self._book.code(task, "START", view.code_generation),
            completion_code=self._book.code(task, "COMPLETION", view.code_generation),
        )

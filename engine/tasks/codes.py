"""Start and completion codes: derived, never stored.

A code is six digits of HMAC-SHA256(server key, task, kind, generation). The database keeps the
generation and counts wrong tries; the event log never holds a code (design §2, Codes).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal

from engine.kernel.ids import TaskId

CodeKind = Literal["START", "COMPLETION"]


@dataclass(frozen=True, slots=True)
class CodeBook:
    """Derives and compares codes under one secret key of at least 32 bytes."""

    key: bytes

    def __post_init__(self) -> None:
        if len(self.key) < 32:
            raise ValueError("the key of the task codes needs at least 32 bytes")

    def code(self, task: TaskId, kind: CodeKind, generation: int) -> str:
        """Six decimal digits."""
        message = f"{task}:{kind}:{generation}".encode()
        digest = hmac.digest(self.key, message, hashlib.sha256)
        return f"{int.from_bytes(digest[:8]) % 1_000_000:06d}"

    def is_correct(self, task: TaskId, kind: CodeKind, generation: int, entered: str) -> bool:
        """Whether `entered` is the code; the comparison takes the same time either way."""
        return hmac.compare_digest(self.code(task, kind, generation).encode(), entered.encode())

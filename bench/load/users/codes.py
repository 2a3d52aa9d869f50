"""The codes that poster and hustler say to each other at the door, outside of the service."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID


class TaskCodes(NamedTuple):
    """The six-digit codes that start a task's work and complete it."""

    start: str
    completion: str


class Codes:
    """Codes by task, from the poster of this process to its hustler."""

    def __init__(self) -> None:
        self._codes: dict[UUID, TaskCodes] = {}

    def publish(self, task: UUID, codes: TaskCodes) -> None:
        """Says a task's codes."""
        self._codes[task] = codes

    def of(self, task: UUID) -> TaskCodes | None:
        """Returns a task's codes, or None while they are unsaid."""
        return self._codes.get(task)

    def forget(self, task: UUID) -> None:
        """Drops the codes of a task that has ended."""
        self._codes.pop(task, None)

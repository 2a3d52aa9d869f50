"""The instants at which running broadcasts change by time alone, the earliest first."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Literal
from uuid import UUID

DueKind = Literal["EXPANSION", "END"]


class DueInstants:
    """A heap of (instant by the database's clock, broadcast); Unix seconds.

    An instant that no longer matters is popped and ignored by whoever asks.
    """

    def __init__(self, sooner: Callable[[], object] = lambda: None) -> None:
        """`sooner` is called when an instant was added that comes before all others."""
        self._sooner = sooner
        self._heap: list[tuple[float, int, DueKind, UUID]] = []
        self._count = 0

    def add(self, at_s: float, kind: DueKind, broadcast: UUID) -> None:
        """Adds an instant."""
        self._count += 1
        is_first = at_s < self.next_at_s()
        heapq.heappush(self._heap, (at_s, self._count, kind, broadcast))
        if is_first:
            self._sooner()

    def next_at_s(self) -> float:
        """Returns the earliest instant; infinity when there is none."""
        return self._heap[0][0] if self._heap else float("inf")

    def take(self, at_s: float) -> list[tuple[float, DueKind, UUID]]:
        """Removes and returns what is due by `at_s`, with its instant, the earliest first."""
        due: list[tuple[float, DueKind, UUID]] = []
        while self._heap and self._heap[0][0] <= at_s:
            due_s, _, kind, broadcast = heapq.heappop(self._heap)
            due.append((due_s, kind, broadcast))
        return due

"""What a user does later: callables by their instant."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class Agenda:
    """Appointments on the monotonic clock, the next one first."""

    def __init__(self) -> None:
        self._counter = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], object]]] = []

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Remembers to call `act` in so many seconds."""
        heapq.heappush(self._heap, (time.monotonic() + seconds, next(self._counter), act))

    def wait_s(self, at_most: float) -> float:
        """Returns the seconds until the next appointment, at most so many."""
        if not self._heap:
            return at_most
        return min(at_most, max(0.0, self._heap[0][0] - time.monotonic()))

    def run_due(self) -> None:
        """Calls everything that is due, and leaves what these add for later to later."""
        now = time.monotonic()
        while self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2]()

    def clear(self) -> None:
        """Forgets everything."""
        self._heap.clear()

"""Timer for a connection's deadline, which moves with each step."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class Deadline:
    """Timer that calls `expired` when its deadline has passed; each step sets it anew.

    A later deadline leaves the timer as it is, and it looks again when it fires.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Sets the deadline to so many seconds from now; infinity for none."""
        if seconds == math.inf:
            self._at = math.inf
            return
        self._at = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= self._at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._look)

    def cancel(self) -> None:
        """Cancels the deadline and its timer, for good: whoever waited for it is forgotten.

        A callback that kept its connection would leave both to the garbage collector
        (gateway/server/frozen_heap.py).
        """
        self._at = math.inf
        self._expired = _forgotten
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        left_s = self._at - self._loop.time()
        if left_s > 0:
            self.set(left_s)
        else:
            self._expired()


def _forgotten() -> None:
    """Does nothing, for a deadline that was cancelled."""

"""Retry back-off by key, for loops that skip rows which are locked.

A loop that works rows off one after another must not wait for a row lock: it gives up after a few
milliseconds, pauses the row, and goes on to the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 4.0
"""So much later than the end of a foreign lock, at most, its row has its turn."""


class RetryPauses(Generic[Key]):
    """Keys with the end of their rest; each further rest of one is twice as long.

    >>> now = [0.0]
    >>> resting = RetryPauses[str](lambda: now[0])
    >>> resting.put("row")
    >>> "row" in resting, "another" in resting
    (True, False)
    >>> now[0] = 0.25
    >>> "row" in resting, resting.keys()
    (False, [])
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._rests: dict[Key, tuple[float, float]] = {}

    def put(self, key: Key) -> None:
        """Pauses the key from now on, twice as long as the last time."""
        _, before_s = self._rests.get(key, (0.0, FIRST_PAUSE_S / 2))
        pause_s = min(before_s * 2, LONGEST_PAUSE_S)
        self._rests[key] = (self._monotonic() + pause_s, pause_s)

    def done(self, key: Key) -> None:
        """Forgets the key after a success: its next pause is the shortest again."""
        self._rests.pop(key, None)

    def __contains__(self, key: Key) -> bool:
        until, _ = self._rests.get(key, (float("-inf"), 0.0))
        return self._monotonic() < until

    def keys(self) -> list[Key]:
        """Returns the keys that are paused now; drops those whose pause ended long ago."""
        now = self._monotonic()
        self._rests = {
            key: (until, pause_s)
            for key, (until, pause_s) in self._rests.items()
            if now < until + LONGEST_PAUSE_S
        }
        return [key for key, (until, _) in self._rests.items() if now < until]

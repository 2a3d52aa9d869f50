"""A token bucket: so many a second on average, so many at once."""

from __future__ import annotations


class TokenBucket:
    """Refills by `rate` per second up to `burst`; starts full. Times are monotonic seconds."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, now: float) -> float:
        """Takes one token and gives 0.0, or leaves it and gives the seconds until one is there."""
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < 1.0:
            return (1.0 - self._level) / self._rate
        self._level -= 1.0
        return 0.0

"""Token bucket: a rate limit with an average per second and a burst."""

from __future__ import annotations


class TokenBucket:
    """Bucket that refills by `rate` per second up to `burst`; starts full. Monotonic seconds."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, now: float) -> float:
        """Takes one token and returns 0.0, or returns the seconds until one is available."""
        level = self._level + (now - self._at) * self._rate
        level = min(level, self._burst)
        self._at = now
        if level < 1.0:
            self._level = level
            return (1.0 - level) / self._rate
        self._level = level - 1.0
        return 0.0

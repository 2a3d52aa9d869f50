"""The morning: one comes after the other, until at two thirds of the time all are there."""

from __future__ import annotations

from typing import Final

RISES_UNTIL: Final = 2 / 3


def users_at(second: float, peak: int, length_s: float) -> int:
    """Returns how many users there are: few at first, steepest in the middle of the rise.

    >>> [users_at(t, 100, 90) for t in (0, 30, 60, 90)]
    [1, 50, 100, 100]
    """
    risen = min(1.0, max(0.0, second / (length_s * RISES_UNTIL)))
    return max(1, round(peak * risen * risen * (3 - 2 * risen)))

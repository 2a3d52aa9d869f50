"""A hot district: all come within a tenth of the time, and four of five to one corner."""

from __future__ import annotations

from typing import Final

ARRIVED_AT: Final = 0.1
HOT_SHARE: Final = 0.8


def users_at(second: float, peak: int, length_s: float) -> int:
    """Returns how many users there are.

    >>> [users_at(t, 100, 100) for t in (0, 5, 10, 100)]
    [1, 50, 100, 100]
    """
    return max(1, round(peak * min(1.0, max(0.0, second / (length_s * ARRIVED_AT)))))

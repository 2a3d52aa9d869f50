"""An outage: everybody is there, everybody is gone, and everybody comes back at once."""

from __future__ import annotations

from typing import Final

ARRIVED_AT: Final = 0.2
GONE_AT: Final = 0.45
BACK_AT: Final = 0.55
"""Parts of the length: all have come, all are cut off, all may come back."""


def users_at(second: float, peak: int, length_s: float) -> int:
    """Returns how many users there are; none during the outage.

    >>> [users_at(t, 100, 100) for t in (10, 30, 50, 56)]
    [50, 100, 0, 100]
    """
    part = second / length_s
    if GONE_AT <= part < BACK_AT:
        return 0
    if part < ARRIVED_AT:
        return max(1, round(peak * max(0.0, part) / ARRIVED_AT))
    return peak

"""The radius of a broadcast at an instant: a pure function of its row and the clock.

3, 5, 7, 9, 10 miles at 0, 60, 120, 180, 240 s, ending at min(600 s, deadline) (LIVE-4, LIVE-5).
The SQL twins are `broadcast_radius_miles` and `broadcast_next_expansion_at`.
Instants are aware datetimes of the database's clock; steps are counted in whole microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_JUST_BEFORE = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class RadiusPlan:
    """The plan of one broadcast; radii in miles. `ends_at` is the first instant it is over."""

    started_at: datetime
    ends_at: datetime
    initial_miles: float = 3.0
    step_miles: float = 2.0
    max_miles: float = 10.0
    interval: timedelta = timedelta(seconds=60)

    def __post_init__(self) -> None:
        """Raises ValueError for a plan that could not be followed."""
        if self.interval <= timedelta(0):
            raise ValueError("the radius must grow at a positive interval")

    def over(self, at: datetime) -> bool:
        """Returns whether the broadcast has ended by the clock (LIVE-5)."""
        return at >= self.ends_at

    def radius_miles(self, at: datetime) -> float:
        """Returns the radius at `at`; after the end, the last one that was reached."""
        return self._after(self._steps(at))

    def next_expansion_at(self, at: datetime) -> datetime | None:
        """Returns when the radius grows next, or None when it never will again."""
        steps = self._steps(at)
        due = self.started_at + self.interval * (steps + 1)
        grows = self._after(steps + 1) > self._after(steps)
        return due if grows and due < self.ends_at else None

    def _after(self, steps: int) -> float:
        return min(self.initial_miles + self.step_miles * steps, self.max_miles)

    def _steps(self, at: datetime) -> int:
        elapsed = min(at, self.ends_at - _JUST_BEFORE) - self.started_at
        return max(elapsed // self.interval, 0)

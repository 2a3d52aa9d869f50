"""The database's clock, extrapolated between its answers by the monotonic clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

_MOVED: Final = timedelta(milliseconds=20)
"""More than a round trip errs by: the clock itself was set."""


class DatabaseClock:
    """An estimate of the database's time: an offset measured by each answer with `hx_clock()`.

    The own wall clock never decides: it may be wrong, and tests move only the database's. What is
    measured by the process alone goes by `monotonic`, in seconds.
    """

    def __init__(
        self, monotonic: Callable[[], float], moved: Callable[[], object] = lambda: None
    ) -> None:
        """`moved` is called when the clock is first known, and when it turns out to be another."""
        self.monotonic = monotonic
        self._moved = moved
        self._anchor: tuple[datetime, float] | None = None

    @property
    def is_known(self) -> bool:
        """Returns whether the database was asked for its time."""
        return self._anchor is not None

    def set(self, answered: datetime, asked_at_s: float) -> None:
        """Takes the answer to a query sent at `asked_at_s` (monotonic); errs by half the trip."""
        expected = self.now() if self._anchor else None
        self._anchor = (answered, (asked_at_s + self.monotonic()) / 2)
        if expected is None or abs(self.now() - expected) > _MOVED:
            self._moved()

    def now(self) -> datetime:
        """Returns the database's time; raises RuntimeError before the first answer."""
        if self._anchor is None:
            raise RuntimeError("the database was not asked for its time yet")
        answered, at_s = self._anchor
        return answered + timedelta(seconds=self.monotonic() - at_s)

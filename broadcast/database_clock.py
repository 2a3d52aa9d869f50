"""The database's clock, extrapolated between its answers by the monotonic clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta


class DatabaseClock:
    """An estimate of the database's time: an offset measured by each answer with `hx_clock()`.

    The own wall clock never decides: it may be wrong, and tests move only the database's. What is
    measured by the process alone goes by `monotonic`, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic
        self._anchor: tuple[datetime, float] | None = None

    def set(self, answered: datetime, asked_at_s: float) -> None:
        """Takes the answer to a query sent at `asked_at_s` (monotonic); errs by half the trip."""
        self._anchor = (answered, (asked_at_s + self.monotonic()) / 2)

    def now(self) -> datetime:
        """Returns the database's time; raises RuntimeError before the first answer."""
        if self._anchor is None:
            raise RuntimeError("the database was not asked for its time yet")
        answered, at_s = self._anchor
        return answered + timedelta(seconds=self.monotonic() - at_s)

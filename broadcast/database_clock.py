"""The database's clock, carried between looks at it by the monotonic one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta


class DatabaseClock:
    """What time the database has: an offset measured with each answer that brings `hx_clock()`.

    The own wall clock never decides: it may be wrong, and tests move only the database's. What is
    measured by the process alone goes by `monotonic`, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic
        self._anchor: tuple[datetime, float] | None = None

    def set(self, answered: datetime, asked_at_s: float) -> None:
        """Take an answer to a question asked at `asked_at_s` (monotonic); errs by half the way."""
        self._anchor = (answered, (asked_at_s + self.monotonic()) / 2)

    def now(self) -> datetime:
        """The database's time; RuntimeError before the first answer."""
        if self._anchor is None:
            raise RuntimeError("the database was not asked for its time yet")
        answered, at_s = self._anchor
        return answered + timedelta(seconds=self.monotonic() - at_s)

"""How often one may call: token buckets in this process, and every REST limit by name.

A user has a bucket for all calls and one for each call that needs a brake of its own.
An address without a valid token has a small one, so that guessing tokens stays slow.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from engine import errors


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket that holds `burst` tokens and wins `per_second` back."""

    name: str
    per_second: float
    burst: float


EVERY_CALL: Final = Rate("calls", per_second=50, burst=400)
TASK_CREATE: Final = Rate("task_create", per_second=5, burst=300)
ACCEPT: Final = Rate("accept", per_second=5, burst=20)
CODE: Final = Rate("code", per_second=1, burst=10)
LOCATION: Final = Rate("location", per_second=2, burst=20)
BAD_TOKEN: Final = Rate("bad_token", per_second=2, burst=100)

MAX_BUCKETS: Final = 100_000
"""How many buckets are kept; the longest unused one is forgotten, which only makes it full."""


class Rates:
    """All buckets of this process. Raises RATE_LIMITED with the seconds until the next token."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._buckets: OrderedDict[tuple[str, str | UUID], tuple[float, float]] = OrderedDict()

    def spend_user(self, user: UUID, rate: Rate | None) -> None:
        """One call of this user, counted against all calls and against its own brake."""
        self._spend(EVERY_CALL, user)
        if rate is not None:
            self._spend(rate, user)

    def check_address(self, address: str) -> None:
        """Refuse an address that has used up its bad tokens."""
        if self._level(BAD_TOKEN, address) < 1:
            raise _limited(BAD_TOKEN, self._level(BAD_TOKEN, address))

    def spend_address(self, address: str) -> None:
        """One bad token from this address."""
        self._keep(BAD_TOKEN, address, max(0.0, self._level(BAD_TOKEN, address) - 1))

    def _spend(self, rate: Rate, who: UUID) -> None:
        level = self._level(rate, who)
        if level < 1:
            raise _limited(rate, level)
        self._keep(rate, who, level - 1)

    def _level(self, rate: Rate, who: str | UUID) -> float:
        level, at = self._buckets.get((rate.name, who), (rate.burst, self._monotonic()))
        return min(rate.burst, level + (self._monotonic() - at) * rate.per_second)

    def _keep(self, rate: Rate, who: str | UUID, level: float) -> None:
        self._buckets[rate.name, who] = (level, self._monotonic())
        self._buckets.move_to_end((rate.name, who))
        while len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)


def _limited(rate: Rate, level: float) -> errors.Refusal:
    return errors.Refusal(
        errors.kind("RATE_LIMITED"), retry_after_s=round((1 - level) / rate.per_second, 3)
    )

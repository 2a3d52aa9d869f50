"""Rate limits of callers: token buckets in this process, and every REST limit by name.

A user has a bucket for all calls and one for each call with a limit of its own. An address that
sends bad tokens has one too: beyond it they get a 429 instead of a 401.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from engine.kernel import errors
from gateway.identity import security_log
from gateway.identity.client_address import counted_as
from gateway.identity.token_bucket import TokenBucket


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit: a bucket that holds `burst` tokens and refills by `per_second`."""

    name: str
    per_second: float
    burst: float


EVERY_CALL: Final = Rate("calls", per_second=50, burst=400)
TASK_CREATE: Final = Rate("task_create", per_second=5, burst=300)
ACCEPT: Final = Rate("accept", per_second=5, burst=20)
CODE: Final = Rate("code", per_second=1, burst=10)
LOCATION: Final = Rate("location", per_second=2, burst=20)
UPLOAD: Final = Rate("upload", per_second=0.5, burst=30)
PAYOUT_ACCOUNT: Final = Rate("payout_account", per_second=0.2, burst=5)
BAD_TOKEN: Final = Rate("bad_token", per_second=2, burst=100)

MAX_BUCKETS: Final = 100_000
"""How many buckets are kept; the longest unused one is forgotten, which only makes it full."""


class Rates:
    """Token buckets of this process; a spend may raise RATE_LIMITED with the seconds to wait."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._buckets: OrderedDict[tuple[str, str | UUID], TokenBucket] = OrderedDict()

    def spend_user(self, user: UUID, rate: Rate | None) -> None:
        """Counts one call of this user against the limit of all calls and against `rate`."""
        for each in (EVERY_CALL, rate):
            wait_s = self._take(each, user) if each else 0.0
            if each and wait_s:
                security_log.rate_limited(limit=each.name, who=str(user))
                raise _limited(wait_s)

    def spend_address(self, address: str) -> None:
        """Counts one bad token from this address.

        Good tokens are never limited by it: many callers may share an address, and the guesses of
        one must not shut the others out.
        """
        wait_s = self._take(BAD_TOKEN, counted_as(address))
        if wait_s:
            security_log.rate_limited(limit=BAD_TOKEN.name, who=counted_as(address))
            raise _limited(wait_s)

    def _take(self, rate: Rate, who: str | UUID) -> float:
        """Takes a token and returns 0.0, or returns the seconds until one is available."""
        now = self._monotonic()
        key = (rate.name, who)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(rate.per_second, rate.burst, now)
            while len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket.take(now)


def _limited(wait_s: float) -> errors.Refusal:
    return errors.Refusal(errors.kind("RATE_LIMITED"), retry_after_s=round(wait_s, 3))

"""The reconnect policy: pure functions from close codes and failures to the next try.

The ranges of close codes are the contract's; the waiting is exponential back-off with full jitter
(every client draws its delay from zero to the cap), which spreads a crowd best.
"""

from __future__ import annotations

from enum import Enum
from random import Random

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 60.0
SHORTEST_WAIT_S = 1.0
AT_ONCE_JITTER_S = 0.25


class Step(Enum):
    """What the client does after a close code."""

    AT_ONCE = "reconnect at once and resume"
    FRESH_AUTH = "reconnect with a fresh token"
    WAIT = "wait first, then reconnect"
    BACK_OFF = "reconnect, backing off"
    STOP = "do not reconnect"


def after_close(code: int) -> Step:
    """Returns the step for a close code; codes outside 4000 to 4399 (1001, 1006 …) back off."""
    if 4000 <= code <= 4099:
        return Step.AT_ONCE
    if 4100 <= code <= 4199:
        return Step.FRESH_AUTH
    if 4200 <= code <= 4299:
        return Step.WAIT
    if 4300 <= code <= 4399:
        return Step.STOP
    return Step.BACK_OFF


def delay_s(step: Step, failures: int, rng: Random) -> float:
    """Returns seconds to wait before the next try; `failures` counts tries since the last WELCOME.

    The first try after AT_ONCE or FRESH_AUTH comes within a quarter of a second; WAIT never takes
    less than a second; every further failure doubles the span up to a minute.
    """
    span_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures, 16))
    if step in (Step.AT_ONCE, Step.FRESH_AUTH) and failures == 0:
        return rng.uniform(0, AT_ONCE_JITTER_S)
    if step is Step.WAIT:
        return min(LONGEST_DELAY_S, SHORTEST_WAIT_S + rng.uniform(0, span_s))
    return rng.uniform(0, span_s)

"""The profile `hx-cal-1`: the weights of hx-1.0 over components that each span 0..1.

Every component is monotone, and those of distance, price and time are continuous, so scores spread
out and MATCH-3 (hidden below 0.20) has somebody to hide.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.matching.profile import Component, Profile
from engine.matching.score_inputs import Floats, known, line

PRIOR_RATE: Final = 0.9
"""The rate of someone of whom nothing is known."""
PRIOR_TASKS: Final = 8.0
"""How many tasks that rate counts as: few of the hustler's own do not outweigh it."""
TRAVEL_MPH: Final = 25.0
UNKNOWN_MILES: Final = 20_000.0
TASKS_MAX: Final = 1e9
CENTS_MAX: Final = 1e12
HOURS_MIN: Final = 1.0 / 60.0
HOURS_MAX: Final = 1e6


def trust_component(tier: Floats, completion: Floats, approval: Floats, taken: Floats) -> Floats:
    """Returns 0.60 (tier − 1)/3 + 0.30 completion + 0.10 approval, the rates shrunk to 0.9.

    A rate r over n tasks counts as (r n + 8 × 0.9) / (n + 8); an unknown rate or n as 0.9.
    """
    level = np.fmax(tier, 1.0)
    np.minimum(level, 4.0, out=level)
    level -= 1.0
    level *= 0.20
    tasks = np.fmax(taken, 0.0)
    np.minimum(tasks, TASKS_MAX, out=tasks)
    level += _shrunk(completion, tasks, 0.30)
    level += _shrunk(approval, tasks, 0.10)
    return level


def _shrunk(rate: Floats, tasks: Floats, weight: float) -> Floats:
    own = known(rate, PRIOR_RATE)
    np.maximum(own, 0.0, out=own)
    np.minimum(own, 1.0, out=own)
    own *= tasks
    own += PRIOR_TASKS * PRIOR_RATE
    own /= tasks + PRIOR_TASKS
    own *= weight
    return own


def distance_component(distance_miles: Floats) -> Floats:
    """Returns 1 to 1 mile, 0.7 at 3, 0.3 at 5, 0 at 10 and beyond, linear between."""
    d = np.fmin(distance_miles, UNKNOWN_MILES)
    np.maximum(d, 0.0, out=d)
    # As in hx-1.0 the lines meet where they cross.
    fall = np.maximum(line(d, 0.7, 0.2, 3.0), np.maximum(line(d, 0.3, 0.06, 5.0), 0.0))
    np.minimum(fall, np.maximum(line(d, 1.0, 0.15, 1.0), 0.7), out=fall)
    np.minimum(fall, 1.0, out=fall)
    return fall


def category_component(verified: Floats, preferred: Floats, count: Floats) -> Floats:
    """Returns the closest tie to the category + 0.2 min(done in it / 10, 1), at most 1.

    Ties: 1 a verified trade, 0.8 preferred, 0.4 done before, 0.2 unknown, 0 none.
    """
    done = np.fmax(count, 0.0)
    np.minimum(done, 10.0, out=done)
    tie: Floats = np.multiply(done > 0.0, 0.4)
    tie += np.isnan(count) * 0.2
    np.maximum(tie, (preferred > 0.0) * 0.8, out=tie)
    np.maximum(tie, (verified > 0.0) * 1.0, out=tie)
    done *= 0.02
    tie += done
    np.minimum(tie, 1.0, out=tie)
    return tie


def price_component(price: Floats, minimum: Floats, market: Floats) -> Floats:
    """Returns (p − 0.5 m)/(1.5 m) within 0..1, times min(1, p / own minimum).

    m is the market price; the first factor is 0.5 where it is unknown.
    An unknown minimum is one cent.
    """
    paid = np.fmax(price, 0.0)
    np.minimum(paid, CENTS_MAX, out=paid)
    middle = np.fmax(market, 1.0)
    np.minimum(middle, CENTS_MAX, out=middle)
    fair = paid / middle
    fair -= 0.5
    fair /= 1.5
    np.maximum(fair, 0.0, out=fair)
    np.minimum(fair, 1.0, out=fair)
    fair = np.where(np.isnan(market), 0.5, fair)
    own = np.fmax(minimum, 1.0)
    np.minimum(own, CENTS_MAX, out=own)
    paid /= own
    np.minimum(paid, 1.0, out=paid)
    fair *= paid
    return fair


def time_component(
    hours_to_deadline: Floats, distance_miles: Floats, expected_hours: Floats
) -> Floats:
    """Returns (time to the deadline − travel at 25 mph) / expected duration, within 0..1.

    0.5 where there is no deadline or the duration is unknown; an unknown way takes longest.
    """
    slack = np.fmax(hours_to_deadline, 0.0)
    np.minimum(slack, HOURS_MAX, out=slack)
    travel = np.fmin(distance_miles, UNKNOWN_MILES)
    np.maximum(travel, 0.0, out=travel)
    travel /= TRAVEL_MPH
    slack -= travel
    need = np.fmax(expected_hours, HOURS_MIN)
    np.minimum(need, HOURS_MAX, out=need)
    slack /= need
    np.maximum(slack, 0.0, out=slack)
    np.minimum(slack, 1.0, out=slack)
    return np.where(np.isnan(hours_to_deadline) | np.isnan(expected_hours), 0.5, slack)


COMPONENTS: Final[tuple[Component, ...]] = (
    lambda of: trust_component(
        of.trust_tier, of.completion_rate, of.approval_rate, of.optional("tasks_taken")
    ),
    lambda of: distance_component(of.distance_miles),
    lambda of: category_component(
        of.optional("trade_verified"), of.category_preferred, of.category_count
    ),
    lambda of: price_component(of.price_cents, of.minimum_price_cents, of.market_price_cents),
    lambda of: time_component(
        of.hours_to_deadline, of.distance_miles, of.optional("expected_hours")
    ),
)

HX_CAL_1: Final = Profile(
    "hx-cal-1", COMPONENTS, trust=0.30, distance=0.25, category=0.20, price=0.15, time=0.10
)

"""The profile `hx-1.0`: the formulas of TASK_DISCOVERY_SPEC v1.0.0 (product_spec §9).

Its smallest reachable score is 0.246, so MATCH-3 hides nobody under it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.matching.profile import Component, Profile
from engine.matching.score_inputs import Floats, known, line

# What stands in for a missing input. `fmax` and `fmin` take the bound where a column is NaN.
_TIER_UNKNOWN = 1.0  # a rookie until proven otherwise
_RATE_UNKNOWN = 0.9  # the prior of someone without history
_COUNT_UNKNOWN = 0.0  # no experience in the category
_WINDOW_UNKNOWN_H = 24.0  # available for a day
_DISTANCE_UNKNOWN = 20_000.0  # an unknown place is far away, never perfect
_NO_DEADLINE = 0.5  # the whole component: neither tight nor roomy


def trust_component(tier: Floats, completion: Floats, approval: Floats) -> Floats:
    """Returns 0.60 tier/4 + 0.30 completion rate + 0.10 approval rate."""
    level = np.fmax(tier, _TIER_UNKNOWN)
    np.minimum(level, 4.0, out=level)
    level /= 4.0
    level *= 0.60
    level += _rate(completion, 0.30)
    level += _rate(approval, 0.10)
    return level


def _rate(rate: Floats, weight: float) -> Floats:
    held = known(rate, _RATE_UNKNOWN)
    np.maximum(held, 0.0, out=held)
    np.minimum(held, 1.0, out=held)
    held *= weight
    return held


def distance_component(distance_miles: Floats) -> Floats:
    """Returns 1 to 1 mile, 0.7 at 3, 0.3 at 5, 0.1 at 10, linear between; 0 beyond."""
    d = np.fmin(distance_miles, _DISTANCE_UNKNOWN)
    np.maximum(d, 0.0, out=d)
    # Held at their end values, so that the knots are exact, the lines meet where they cross.
    fall = np.maximum(line(d, 0.7, 0.2, 3.0), np.maximum(line(d, 0.3, 0.04, 5.0), 0.1))
    np.minimum(fall, np.maximum(line(d, 1.0, 0.15, 1.0), 0.7), out=fall)
    np.minimum(fall, 1.0, out=fall)
    fall *= d <= 10.0
    return fall


def category_component(preferred: Floats, count: Floats) -> Floats:
    """Returns 0.70 (1 if preferred, else 0.6) + 0.30 min(done in the category / 10, 1)."""
    experience = np.fmax(count, _COUNT_UNKNOWN)
    np.minimum(experience, 10.0, out=experience)
    experience *= 0.03
    experience += 0.42
    experience += (preferred > 0.0) * 0.28
    return experience


def price_component(price: Floats, minimum: Floats, market: Floats) -> Floats:
    """Returns 0.60 (1 at or above the minimum, else 0.5) + 0.40 (1 at market, else 0.7).

    Every price meets an unknown minimum, and none an unknown market.
    """
    paid = np.fmax(price, 0.0)
    points: Floats = np.multiply(paid >= market, 0.12)
    points += 0.88
    points -= (paid < minimum) * 0.30
    return points


def time_component(hours_to_deadline: Floats, available_hours: Floats) -> Floats:
    """Returns 1 for a deadline beyond the available hours, 0.7 beyond half of them, else 0.3."""
    window = known(available_hours, _WINDOW_UNKNOWN_H)
    np.maximum(window, 0.0, out=window)
    left = np.fmax(hours_to_deadline, 0.0)
    whole = (left >= window) * 0.3
    window *= 0.5
    fit = (left >= window) * 0.4
    fit += 0.3
    fit += whole
    return np.where(np.isnan(hours_to_deadline), _NO_DEADLINE, fit)


COMPONENTS: Final[tuple[Component, ...]] = (
    lambda of: trust_component(of.trust_tier, of.completion_rate, of.approval_rate),
    lambda of: distance_component(of.distance_miles),
    lambda of: category_component(of.category_preferred, of.category_count),
    lambda of: price_component(of.price_cents, of.minimum_price_cents, of.market_price_cents),
    lambda of: time_component(of.hours_to_deadline, of.available_hours),
)

HX_1_0: Final = Profile(
    "hx-1.0", COMPONENTS, trust=0.30, distance=0.25, category=0.20, price=0.15, time=0.10
)

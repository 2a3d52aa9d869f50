"""The matching score `hx-1.0`: how well one hustler fits one task, 0..1 (product_spec §9).

Five components, each 0..1, weighted; formulas of TASK_DISCOVERY_SPEC v1.0.0.
Everything is float64 and element-wise, so one pair scores bit for bit as it does in a batch.
Every input is clamped, a missing one (NaN) takes the default written beside it, and NaN never
leaves. Nothing here rounds: order and visibility are decided on the full value.
Eligibility is a gate before this, never a factor in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HIDDEN_BELOW = 0.20
"""A pair below this is not shown (MATCH-3). Under hx-1.0 the smallest reachable score is 0.246."""

CATEGORY_MEDIAN_CENTS = {
    "cleaning": 5000.0,
    "moving": 12000.0,
    "delivery": 2500.0,
    "handyman": 7500.0,
    "errands": 2000.0,
    "tech_help": 6000.0,
    "yard_work": 6500.0,
    "pet_care": 3500.0,
    "other": 5000.0,
}
"""Published medians, cents: the market price of a category with fewer than 20 tasks of its own."""

# What stands in for a missing input.
_TIER_UNKNOWN = 1.0  # a rookie until proven otherwise
_RATE_UNKNOWN = 0.9  # the prior of someone without history
_COUNT_UNKNOWN = 0.0  # no experience in the category
_WINDOW_UNKNOWN_H = 24.0  # available for a day
_DISTANCE_UNKNOWN = math.inf  # an unknown place is far away, never perfect
_NO_DEADLINE = 0.5  # the whole component: neither tight nor roomy


@dataclass(frozen=True, slots=True)
class Profile:
    """The weights of one scoring profile, in the order of `COMPONENTS`; they sum to exactly 1."""

    name: str
    trust: float
    distance: float
    category: float
    price: float
    time: float

    def __post_init__(self) -> None:
        """Raises ValueError unless the weights are finite, not negative and sum to exactly 1."""
        weights = self.weights
        if not all(math.isfinite(weight) and weight >= 0.0 for weight in weights):
            raise ValueError(f"profile {self.name}: weights must be finite and not negative")
        if math.fsum(weights) != 1.0:
            raise ValueError(f"profile {self.name}: weights sum to {math.fsum(weights)!r}, not 1")

    @property
    def weights(self) -> tuple[float, ...]:
        """Returns the weights in the order of `COMPONENTS`."""
        return tuple(getattr(self, name) for name, _ in COMPONENTS)


@dataclass(frozen=True, slots=True)
class ScoreInputs:
    """What is known of n pairs: float64 columns of shape (n,), NaN where something is unknown."""

    trust_tier: Floats
    """1 ROOKIE … 4 ELITE."""
    completion_rate: Floats
    """0..1."""
    approval_rate: Floats
    """0..1."""
    distance_miles: Floats
    """From the hustler to the task's rounded place."""
    category_preferred: Floats
    """1 when the hustler prefers the task's category, else 0."""
    category_count: Floats
    """Tasks of this category the hustler has done."""
    price_cents: Floats
    minimum_price_cents: Floats
    """The hustler's own; NaN: none, so every price meets it."""
    market_price_cents: Floats
    """Of the category, this task excluded; NaN: unknown, so never counted as above market."""
    hours_to_deadline: Floats
    """NaN: no deadline."""
    available_hours: Floats
    """How long the hustler has; NaN: a day."""

    @classmethod
    def one(cls, **values: float) -> ScoreInputs:
        """Returns the inputs of a single pair; an argument that is left out is missing.

        >>> float(score(ScoreInputs.one(distance_miles=0.5, price_cents=5000.0)).total[0]) > 0.5
        True
        """
        columns = {field.name: values.pop(field.name, math.nan) for field in fields(cls)}
        if values:
            raise TypeError(f"unknown inputs: {sorted(values)}")
        return cls(**{name: np.array([value], np.float64) for name, value in columns.items()})


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of n pairs: `components` (5, n) in the order of `COMPONENTS`, `total` (n,); 0..1."""

    components: Floats
    total: Floats

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Returns which pairs may be shown, decided on the unrounded total."""
        return self.total >= HIDDEN_BELOW


@dataclass(frozen=True, slots=True)
class Part:
    """One component of one pair's score; `points` = weight × value."""

    component: str
    weight: float
    value: float
    points: float


def _known(column: Floats, default: float) -> Floats:
    return np.where(np.isnan(column), default, column)


def trust_component(tier: Floats, completion: Floats, approval: Floats) -> Floats:
    """Returns 0.60 tier/4 + 0.30 completion rate + 0.10 approval rate."""
    level = np.clip(_known(tier, _TIER_UNKNOWN), 1.0, 4.0) / 4.0
    completed = np.clip(_known(completion, _RATE_UNKNOWN), 0.0, 1.0)
    approved = np.clip(_known(approval, _RATE_UNKNOWN), 0.0, 1.0)
    return 0.60 * level + 0.30 * completed + 0.10 * approved


def distance_component(distance_miles: Floats) -> Floats:
    """Returns 1 to 1 mile, 0.7 at 3, 0.3 at 5, 0.1 at 10, linear between; 0 beyond."""
    d = np.clip(_known(distance_miles, _DISTANCE_UNKNOWN), 0.0, 20_000.0)
    # Each line is held at its end value, so that the knots are exact.
    near = np.maximum(1.0 - 0.15 * (d - 1.0), 0.7)
    middle = np.maximum(0.7 - 0.2 * (d - 3.0), 0.3)
    far = np.maximum(0.3 - 0.04 * (d - 5.0), 0.1)
    bands = np.where(d <= 3.0, near, np.where(d <= 5.0, middle, np.where(d <= 10.0, far, 0.0)))
    return np.minimum(bands, 1.0)


def category_component(preferred: Floats, count: Floats) -> Floats:
    """Returns 0.70 (1 if preferred, else 0.6) + 0.30 min(done in the category / 10, 1)."""
    wish = np.where(_known(preferred, 0.0) > 0.0, 1.0, 0.6)
    experience = np.clip(_known(count, _COUNT_UNKNOWN), 0.0, 10.0) / 10.0
    return 0.70 * wish + 0.30 * experience


def price_component(price: Floats, minimum: Floats, market: Floats) -> Floats:
    """Returns 0.60 (1 at or above the minimum, else 0.5) + 0.40 (1 at market, else 0.7)."""
    paid = np.maximum(_known(price, 0.0), 0.0)
    own = np.where(paid >= _known(minimum, -math.inf), 1.0, 0.5)
    fair = np.where(paid >= _known(market, math.inf), 1.0, 0.7)
    return 0.60 * own + 0.40 * fair


def time_component(hours_to_deadline: Floats, available_hours: Floats) -> Floats:
    """Returns 1 for a deadline beyond the available hours, 0.7 beyond half of them, else 0.3."""
    left = np.maximum(_known(hours_to_deadline, 0.0), 0.0)
    window = np.maximum(_known(available_hours, _WINDOW_UNKNOWN_H), 0.0)
    fit = np.where(left >= window, 1.0, np.where(left >= 0.5 * window, 0.7, 0.3))
    return np.where(np.isnan(hours_to_deadline), _NO_DEADLINE, fit)


COMPONENTS: Final[tuple[tuple[str, Callable[[ScoreInputs], Floats]], ...]] = (
    ("trust", lambda of: trust_component(of.trust_tier, of.completion_rate, of.approval_rate)),
    ("distance", lambda of: distance_component(of.distance_miles)),
    ("category", lambda of: category_component(of.category_preferred, of.category_count)),
    (
        "price",
        lambda of: price_component(of.price_cents, of.minimum_price_cents, of.market_price_cents),
    ),
    ("time", lambda of: time_component(of.hours_to_deadline, of.available_hours)),
)
"""Each component by name; a weight of a profile bears the same name. Points add in this order."""

HX_1_0 = Profile("hx-1.0", trust=0.30, distance=0.25, category=0.20, price=0.15, time=0.10)


def score(inputs: ScoreInputs, profile: Profile = HX_1_0) -> Scored:
    """Returns the scores of n pairs; the same operations in the same order whatever n is."""
    components = np.clip(np.stack([of(inputs) for _, of in COMPONENTS]), 0.0, 1.0)
    total = np.zeros(components.shape[1], np.float64)
    for weight, component in zip(profile.weights, components, strict=True):
        total = total + weight * component  # a dot product may add in another order
    return Scored(components, np.clip(total, 0.0, 1.0))


def breakdown(scored: Scored, row: int, profile: Profile = HX_1_0) -> Iterator[Part]:
    """Yields the components of pair `row`'s score, one `Part` each."""
    for index, ((name, _), weight) in enumerate(zip(COMPONENTS, profile.weights, strict=True)):
        value = float(scored.components[index, row])
        yield Part(name, weight, value, weight * value)


def ranking(
    total: Floats, distance_miles: Floats, price_cents: Floats, created_at: Floats, ids: Any
) -> NDArray[np.intp]:
    """Returns row numbers, best first: score desc, distance asc, price desc, created_at, id.

    `created_at` in Unix seconds; `ids` are 16-byte UUIDs of shape (n,), dtype S16.
    """
    halves = np.ascontiguousarray(ids, "S16").view(">u8").reshape(-1, 2)
    return np.lexsort(
        (halves[:, 1], halves[:, 0], created_at, -price_cents, distance_miles, -total)
    )

"""The matching score: how well one hustler fits one task, 0..1 (product_spec §9).

Five components, each 0..1, weighted by a profile (`hx-1.0`, `hx-cal-1`).
Everything is float64 and element-wise, so one pair scores bit for bit as it does in a batch.
Every input is clamped, a missing one (NaN) takes its formula's default, and NaN never leaves.
Nothing here rounds: order and visibility are decided on the full value.
Eligibility is a gate before this, never a factor in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.matching.hx_1_0 import HX_1_0
from engine.matching.hx_cal_1 import HX_CAL_1
from engine.matching.profile import NAMES, Profile
from engine.matching.score_inputs import Floats, ScoreInputs

__all__ = [
    "CATEGORY_MEDIAN_CENTS",
    "HIDDEN_BELOW",
    "HX_1_0",
    "HX_CAL_1",
    "PROFILES",
    "Floats",
    "Part",
    "Profile",
    "ScoreInputs",
    "Scored",
    "add_components",
    "breakdown",
    "ranking",
    "score",
]

PROFILES: Final[Mapping[str, Profile]] = {profile.name: profile for profile in (HX_1_0, HX_CAL_1)}
"""The profiles that `HX_SCORE_PROFILE` may name."""

HIDDEN_BELOW = 0.20
"""A pair below this is not shown (MATCH-3)."""

BLOCK_PAIRS: Final = 16_384
"""Pairs that are scored at once: the columns in use stay in the processor's cache."""

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


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of n pairs: `total` (n,), 0..1, by `profile` from `inputs`."""

    total: Floats
    inputs: ScoreInputs
    profile: Profile

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Returns which pairs may be shown, decided on the unrounded total."""
        return self.total >= HIDDEN_BELOW

    def components(self) -> Floats:
        """Returns the components, each 0..1, in the order of `profile.NAMES`: shape (5, n)."""
        columns = [component(self.inputs) for component in self.profile.components]
        return np.clip(np.stack(columns), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Part:
    """One component of one pair's score; `points` = weight × value."""

    component: str
    weight: float
    value: float
    points: float


def score(inputs: ScoreInputs, profile: Profile = HX_1_0) -> Scored:
    """Returns the scores of n pairs; the same operations in the same order whatever n is."""
    total = np.zeros(len(inputs), np.float64)
    for start in range(0, len(inputs), BLOCK_PAIRS):
        stop = start + BLOCK_PAIRS
        add_components(inputs.rows(start, stop), profile, total[start:stop])
    return Scored(total, inputs, profile)


def add_components(inputs: ScoreInputs, profile: Profile, total: Floats) -> None:
    """Adds the points of each component to `total` in turn, and clamps it to 0..1.

    A dot product may add in another order.
    """
    for weight, component in zip(profile.weights, profile.components, strict=True):
        points = component(inputs)
        np.clip(points, 0.0, 1.0, out=points)
        points *= weight
        total += points
    np.clip(total, 0.0, 1.0, out=total)


def breakdown(scored: Scored, row: int) -> Iterator[Part]:
    """Yields the components of pair `row`'s score, one `Part` each."""
    one = Scored(scored.total[row : row + 1], scored.inputs.rows(row, row + 1), scored.profile)
    values = one.components()[:, 0].tolist()
    for name, weight, value in zip(NAMES, scored.profile.weights, values, strict=True):
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

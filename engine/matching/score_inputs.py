"""The inputs of a score: what is known of n pairs of a task and a hustler, as columns."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoreInputs:
    """What is known of n pairs: float64 columns of shape (n,), NaN where something is unknown.

    A column that is None is unknown for every pair.
    """

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
    """Of the category, this task excluded; NaN: unknown."""
    hours_to_deadline: Floats
    """NaN: no deadline."""
    available_hours: Floats
    """How long the hustler has; NaN: a day."""
    tasks_taken: Floats | None = None
    """How many tasks the hustler's rates were counted over."""
    trade_verified: Floats | None = None
    """1 when the hustler holds the trade of the task's category, verified, else 0."""
    expected_hours: Floats | None = None
    """How long the task is expected to take."""

    def __len__(self) -> int:
        """Returns n."""
        return self.distance_miles.size

    def rows(self, start: int, stop: int) -> ScoreInputs:
        """Returns the pairs from `start` up to `stop`, as views."""
        columns: dict[str, Floats] = {
            name: column[start:stop]
            for name in _COLUMNS
            if (column := getattr(self, name)) is not None
        }
        return ScoreInputs(**columns)

    def optional(self, name: str) -> Floats:
        """Returns a column, NaN throughout where it is None."""
        column: Floats | None = getattr(self, name)
        return np.full(len(self), math.nan) if column is None else column

    @classmethod
    def one(cls, **values: float) -> ScoreInputs:
        """Returns the inputs of a single pair; an argument that is left out is missing.

        >>> ScoreInputs.one(distance_miles=0.5).distance_miles
        array([0.5])
        """
        columns = {name: values.pop(name, math.nan) for name in _COLUMNS}
        if values:
            raise TypeError(f"unknown inputs: {sorted(values)}")
        return cls(**{name: np.array([value], np.float64) for name, value in columns.items()})


_COLUMNS = tuple(field.name for field in fields(ScoreInputs))


def known(column: Floats, default: float) -> Floats:
    """Returns the column with `default` where it is NaN."""
    return np.where(np.isnan(column), default, column)


def line(x: Floats, value: float, slope: float, start: float) -> Floats:
    """Returns value − slope (x − start)."""
    falling = x - start
    falling *= slope
    np.subtract(value, falling, out=falling)
    return falling

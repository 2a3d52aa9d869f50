"""What running broadcasts ask of a hustler, as columns, and the gate and the score's inputs of pairs.

The gate is the vectorised reading of SQL's `wave_eligibility`: it decides whom to ask about, never
who is offered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from broadcast.hustler_columns import (
    NO_COUNT,
    Floats,
    HustlerColumns,
    Mask,
    Rows,
    Vocabulary,
    Words,
)
from engine.kernel.broadcast_params import TaskParams
from engine.matching.score import ScoreInputs

_LOW = (1 << 64) - 1


@dataclass(slots=True)
class TaskColumns:
    """Columns of n broadcasts; places in degrees, times in Unix seconds, NaN where there is none."""

    lat: Floats
    lng: Floats
    place_lat: Floats
    place_lng: Floats
    price_cents: Floats
    market_price_cents: Floats
    created_at: Floats
    deadline: Floats
    expected_hours: Floats
    required_tier: Floats
    category: NDArray[np.uint8]
    trade: Words
    """The bit of the trade that is demanded; 0: none."""
    insurance: Mask
    background_check: Mask
    poster_low: Words

    def __len__(self) -> int:
        return self.lat.size

    @classmethod
    def empty(cls, n: int) -> TaskColumns:
        """Returns n rows of no task."""
        kinds = {
            "category": np.uint8, "trade": np.uint64, "poster_low": np.uint64,
            "insurance": np.bool_, "background_check": np.bool_,
        }  # fmt: skip
        return cls(*(np.zeros(n, kinds.get(f.name, np.float64)) for f in fields(cls)))

    def put(self, slot: int, params: TaskParams, vocabulary: Vocabulary) -> None:
        """Writes one broadcast's row; its market price is unknown yet."""
        self.lat[slot], self.lng[slot] = params.lat, params.lng
        self.place_lat[slot], self.place_lng[slot] = params.place_lat, params.place_lng
        self.price_cents[slot] = params.price_cents
        self.market_price_cents[slot] = math.nan
        self.created_at[slot] = params.created_at.timestamp()
        deadline = params.deadline
        self.deadline[slot] = math.nan if deadline is None else deadline.timestamp()
        minutes = params.estimated_minutes
        self.expected_hours[slot] = math.nan if minutes is None else minutes / 60.0
        self.required_tier[slot] = params.required_trust_tier
        self.category[slot] = vocabulary.categories.code(params.category)
        trade = params.required_trade
        self.trade[slot] = 0 if trade is None else vocabulary.trades.bits([trade])
        self.insurance[slot] = params.insurance_required
        self.background_check[slot] = params.background_check_required
        self.poster_low[slot] = params.poster_id.int & _LOW

    def grow(self, n: int) -> TaskColumns:
        """Returns a copy with room for n rows, n ≥ len(self)."""
        grown = TaskColumns.empty(n)
        for column in fields(self):
            getattr(grown, column.name)[: len(self)] = getattr(self, column.name)
        return grown


def task_columns(tasks: Sequence[TaskParams], vocabulary: Vocabulary) -> TaskColumns:
    """Returns the columns of these tasks, in their order."""
    columns = TaskColumns.empty(len(tasks))
    for slot, params in enumerate(tasks):
        columns.put(slot, params, vocabulary)
    return columns


def passes(
    tasks: TaskColumns, slots: Rows, hustlers: HustlerColumns, rows: Rows, exact_miles: Floats
) -> Mask:
    """Returns which pairs pass the gate and the hustler's own wishes, as far as is known.

    Pair n is broadcast `slots[n]` and hustler `rows[n]`; `exact_miles` is between exact places.
    Whether a hustler is active and has a free place is asked before, once for each hustler.
    """
    category = np.uint64(1) << tasks.category[slots].astype(np.uint64)
    trade = tasks.trade[slots]
    return np.asarray(
        (exact_miles <= hustlers.own_radius_miles[rows])
        & ((hustlers.own_categories[rows] & category) != 0)
        & (hustlers.trust_tier[rows] >= tasks.required_tier[slots])
        & ((hustlers.trades[rows] & trade) == trade)
        & (hustlers.insured[rows] | ~tasks.insurance[slots])
        & (hustlers.checked[rows] | ~tasks.background_check[slots])
        & (hustlers.low[rows] != tasks.poster_low[slots]),
        np.bool_,
    )


def score_inputs(
    tasks: TaskColumns,
    slots: Rows,
    hustlers: HustlerColumns,
    rows: Rows,
    *,
    place_miles: Floats,
    at_s: float,
) -> ScoreInputs:
    """Returns the score's inputs of n pairs; `place_miles` to the rounded place, `at_s` Unix s."""
    category, trade = tasks.category[slots], tasks.trade[slots]
    verified = (trade != 0) & ((hustlers.trades[rows] & trade) == trade)
    done = hustlers.done[rows, category]
    preferred = hustlers.preferred[rows] >> category.astype(np.uint64) & np.uint64(1)
    return ScoreInputs(
        trust_tier=hustlers.trust_tier[rows],
        completion_rate=hustlers.completion_rate[rows],
        approval_rate=hustlers.approval_rate[rows],
        distance_miles=place_miles,
        category_preferred=preferred.astype(np.float64),
        category_count=np.where(done == NO_COUNT, np.nan, done),
        price_cents=tasks.price_cents[slots],
        minimum_price_cents=hustlers.minimum_price_cents[rows],
        market_price_cents=tasks.market_price_cents[slots],
        hours_to_deadline=(tasks.deadline[slots] - at_s) / 3600.0,
        available_hours=hustlers.available_hours[rows],
        tasks_taken=hustlers.tasks_taken[rows],
        trade_verified=verified.astype(np.float64),
        expected_hours=tasks.expected_hours[slots],
    )

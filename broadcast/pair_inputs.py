"""The inputs of the score for pairs: task facts joined with the database's facts on hustlers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from broadcast.active_broadcast import ActiveBroadcast
from broadcast.wave_store import EligibilityResult
from engine.matching.score import CATEGORY_MEDIAN_CENTS, Floats, ScoreInputs


def score_inputs(
    broadcasts: Sequence[ActiveBroadcast],
    numbers: NDArray[np.int64],
    place_miles: Floats,
    eligibility: EligibilityResult,
    at: datetime,
) -> ScoreInputs:
    """Returns columns of n pairs; `numbers` (n,) says which of the broadcasts each belongs to."""
    price = np.array([b.params.price_cents for b in broadcasts], np.float64)
    market = np.array([_market_price_cents(b) for b in broadcasts], np.float64)
    hours = np.array([_hours_to_deadline(b, at) for b in broadcasts], np.float64)
    return ScoreInputs(
        **eligibility.hustlers,
        distance_miles=place_miles,
        price_cents=price[numbers],
        market_price_cents=market[numbers],
        hours_to_deadline=hours[numbers],
    )


def _market_price_cents(broadcast: ActiveBroadcast) -> float:
    known = broadcast.params.market_price_cents
    if known is not None:
        return known
    return CATEGORY_MEDIAN_CENTS.get(broadcast.params.category, math.nan)


def _hours_to_deadline(broadcast: ActiveBroadcast, at: datetime) -> float:
    deadline = broadcast.params.deadline
    return math.nan if deadline is None else (deadline - at).total_seconds() / 3600.0

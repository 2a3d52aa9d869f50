"""What a category's other tasks cost: read once a minute for all broadcasts (design §5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from engine.kernel import policy
from engine.kernel.broadcast_params import TaskParams
from engine.matching.score import CATEGORY_MEDIAN_CENTS


class CategoryPrices(Struct, frozen=True):
    """The newest tasks of one category, the oldest of them made at `since`."""

    tasks: int
    total_cents: int
    since: datetime


class MarketPrices(Struct, frozen=True):
    """The prices of all categories as they stood at `at`, by the database's clock."""

    at: datetime
    categories: Mapping[str, CategoryPrices]

    def of(self, params: TaskParams) -> float:
        """Returns the mean of the category's other newest tasks, in cents.

        Where they are too few for a market, the category's published median; NaN without one.
        """
        known = self.categories.get(params.category)
        if known is not None:
            is_among = known.since <= params.created_at <= self.at
            tasks = known.tasks - is_among
            if tasks >= policy.MARKET_TASKS_MIN:
                return (known.total_cents - is_among * params.price_cents) / tasks
        return CATEGORY_MEDIAN_CENTS.get(params.category, math.nan)

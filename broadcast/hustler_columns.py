"""What a broadcaster keeps of hustlers, as columns: the answer of SQL's `roster`.

Advice alone: it says whom to ask about, and `make_offers` judges every pair again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from broadcast.codebook import Codebook
from engine.matching.score import CATEGORY_MEDIAN_CENTS

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
Words = NDArray[np.uint64]
Ids = NDArray[np.bytes_]
"""UUIDs of 16 bytes each, dtype S16, shape (n,)."""

_DECODE_COUNTS = msgspec.json.Decoder(dict[str, Any]).decode

ALL_NAMES = (1 << 64) - 1
"""The own categories of a hustler who named none: every one is welcome."""

NO_COUNT = 255

COUNT_MAX = 10
"""Tasks done in a category beyond which the score no longer rises."""


@dataclass(slots=True)
class Vocabulary:
    """The code books of categories and trades, shared by hustlers and broadcasts."""

    categories: Codebook
    trades: Codebook

    @classmethod
    def new(cls) -> Vocabulary:
        """Returns code books that hold the published categories alone."""
        return cls(Codebook(CATEGORY_MEDIAN_CENTS), Codebook())


@dataclass(slots=True)
class HustlerColumns:
    """Columns of n hustlers; NaN where a hustler gave nothing, times in Unix seconds."""

    low: Words
    """The low half of the hustler's id: enough to know who posts a task of their own."""
    active: Mask
    """LIVE mode is ACTIVE, the account open, the role one that works, and no task in hand."""
    changes_at: Floats
    """When time changes the LIVE state next; infinity: never."""
    open_offers: NDArray[np.int16]
    trust_tier: Floats
    completion_rate: Floats
    approval_rate: Floats
    tasks_taken: Floats
    """Over how many tasks the completion rate was counted."""
    minimum_price_cents: Floats
    available_hours: Floats
    own_radius_miles: Floats
    """Infinity: no limit of their own."""
    own_categories: Words
    preferred: Words
    trades: Words
    insured: Mask
    checked: Mask
    done: NDArray[np.uint8]
    """(n, 64): tasks done by category, at most `COUNT_MAX`; `NO_COUNT` where none are known."""

    def __len__(self) -> int:
        return self.low.size

    @classmethod
    def empty(cls, n: int) -> HustlerColumns:
        """Returns n rows of nobody: not active, without history."""
        return cls(
            low=np.zeros(n, np.uint64),
            active=np.zeros(n, np.bool_),
            changes_at=np.full(n, np.inf),
            open_offers=np.zeros(n, np.int16),
            trust_tier=np.ones(n),
            completion_rate=np.full(n, np.nan),
            approval_rate=np.full(n, np.nan),
            tasks_taken=np.full(n, np.nan),
            minimum_price_cents=np.full(n, np.nan),
            available_hours=np.full(n, np.nan),
            own_radius_miles=np.full(n, np.inf),
            own_categories=np.full(n, ALL_NAMES, np.uint64),
            preferred=np.zeros(n, np.uint64),
            trades=np.zeros(n, np.uint64),
            insured=np.zeros(n, np.bool_),
            checked=np.zeros(n, np.bool_),
            done=np.full((n, 64), NO_COUNT, np.uint8),
        )

    def put(self, rows: Rows, other: HustlerColumns) -> None:
        """Overwrites these rows with the rows of another, in their order."""
        for column in fields(self):
            getattr(self, column.name)[rows] = getattr(other, column.name)

    def take(self, rows: Rows) -> HustlerColumns:
        """Returns a copy of these rows, in their order."""
        return HustlerColumns(*(getattr(self, column.name)[rows] for column in fields(self)))

    def grow(self, n: int) -> HustlerColumns:
        """Returns a copy with room for n rows, n ≥ len(self)."""
        grown = HustlerColumns.empty(n)
        grown.put(np.arange(len(self)), self)
        return grown


def hustler_columns(answer: Sequence[Sequence[Any]], vocabulary: Vocabulary) -> HustlerColumns:
    """Returns the columns of SQL's `roster`, one row for each hustler asked, in that order."""
    columns = HustlerColumns.empty(len(answer))
    if not answer:
        return columns
    (
        ids, active, changes_at, busy, works, open_offers, tier, trades, insured, checked,
        completion, approval, preferred, counts, minimum, hours, radius, categories,
    ) = zip(*answer, strict=True)  # fmt: skip
    columns.low[:] = [_low(hustler) for hustler in ids]
    columns.active[:] = np.array(active) & ~np.array(busy) & np.array(works)
    columns.changes_at[:] = [np.inf if at is None else at.timestamp() for at in changes_at]
    columns.open_offers[:] = open_offers
    columns.trust_tier[:] = np.array(tier, np.float64)
    columns.completion_rate[:] = np.array(completion, np.float64)
    columns.approval_rate[:] = np.array(approval, np.float64)
    columns.minimum_price_cents[:] = np.array(minimum, np.float64)
    columns.available_hours[:] = np.array(hours, np.float64)
    columns.own_radius_miles[:] = [np.inf if miles is None else miles for miles in radius]
    book = vocabulary.categories
    columns.own_categories[:] = [ALL_NAMES if c is None else book.bits(c) for c in categories]
    columns.preferred[:] = [book.bits(names) for names in preferred]
    columns.trades[:] = [vocabulary.trades.bits(names) for names in trades]
    columns.insured[:] = insured
    columns.checked[:] = checked
    for row, done in enumerate(counts):
        completed = 0.0
        for category, count in _DECODE_COUNTS(done).items():
            if isinstance(count, int | float):
                completed += max(count, 0)
                columns.done[row, book.code(category)] = min(max(count, 0), COUNT_MAX)
        rate = completion[row]
        if rate:  # completed of taken
            columns.tasks_taken[row] = completed / rate
    return columns


def _low(hustler: UUID) -> int:
    return hustler.int & ALL_NAMES

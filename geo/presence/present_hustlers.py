"""The result of reading cells: one row for each hustler, as numpy columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

STALE_MS: Final = 90_000  # three heartbeats missed
INDEX_LAG_MS: Final = 5_000  # by so much a cell's index by time may be older than its records
OLD_FIX_MS: Final = 300_000  # a keep-alive keeps the session, but not its position

# The record of a cell's hash, written by heartbeat.lua; the last field is its own. It carries the hustler, so that the values
# of many cells join into one buffer. Up to 64 bytes Redis keeps a hash compact.
RECORD: Final = np.dtype(
    [
        ("hustler", "V16"),
        ("lat", "<f8"),
        ("lng", "<f8"),
        ("generation", "<u8"),
        ("seq", "<u4"),
        ("fixed_at_ms", "<i8"),
        ("seen_at_ms", "<i8"),
        ("index_lag_ms", "<u2"),
    ]
)


@dataclass(frozen=True, slots=True)
class PresentHustlers:
    """Columns of n hustlers, each once; `hustler` holds UUIDs as 16 bytes, times are Unix ms."""

    hustler: NDArray[np.void]
    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    generation: NDArray[np.uint64]
    seq: NDArray[np.uint32]
    fixed_at_ms: NDArray[np.int64]
    seen_at_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lat)

    def take(self, rows: NDArray[Any]) -> PresentHustlers:
        """Returns the rows of a boolean mask or of an index array."""
        return PresentHustlers(*(getattr(self, column.name)[rows] for column in fields(self)))

    def newest(self) -> PresentHustlers:
        """Returns each hustler's row of the highest (generation, seq) alone.

        A hustler may be found twice, where a writer died between writing the new cell and clearing
        the old one.
        """
        halves = self.hustler.view(np.uint64).reshape(-1, 2)
        low = (halves[:, 1] >> np.uint64(32)).astype(np.uint32)
        ordered = np.sort(low)
        repeated = ordered[1:][ordered[1:] == ordered[:-1]]
        if not repeated.size:
            return self
        doubtful = np.flatnonzero(np.isin(low, repeated))
        some, of = self.take(doubtful), halves[doubtful]
        order = np.lexsort((some.seq, some.generation, of[:, 0], of[:, 1]))
        older = (of[order[1:]] == of[order[:-1]]).all(axis=1)
        kept = np.ones(len(self), np.bool_)
        kept[doubtful[order[:-1][older]]] = False
        return self.take(kept)

    def hustlers(self) -> list[UUID]:
        """Returns the column `hustler` as UUIDs."""
        joined = self.hustler.tobytes()
        return [UUID(bytes=joined[at : at + 16]) for at in range(0, len(joined), 16)]


def alive_hustlers(cells: Iterable[Sequence[bytes]], now_ms: int) -> PresentHustlers:
    """Parses the records of many cells, and keeps those alive at `now_ms`.

    Silent for over 90 s is gone; a fix over 5 min old is no place to be matched at.
    """
    rows = np.frombuffer(b"".join(chain.from_iterable(cells)), dtype=RECORD)
    alive = (rows["seen_at_ms"] >= now_ms - STALE_MS) & (rows["fixed_at_ms"] >= now_ms - OLD_FIX_MS)
    if not alive.all():
        rows = rows[alive]
    names = (column.name for column in fields(PresentHustlers))
    return PresentHustlers(*(np.ascontiguousarray(rows[name]) for name in names))

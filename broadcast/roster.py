"""The hustlers a broadcaster has seen: one row each, in numpy columns, corrected by what changed.

It says whom a question is worth: who is full, busy or inactive is masked out before anything is
computed. PostgreSQL decides; a row that turns out wrong is read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from broadcast.hustler_columns import Floats, HustlerColumns, Ids, Mask, Rows

ROWS_MAX: Final = 1 << 20
"""Hustlers of one broadcaster; beyond it the design asks for another broadcaster or another cell."""

NOBODY: Final = -1
"""The row of a hustler who has none."""

_NONE: Final = 0


class Roster:
    """Rows of hustlers by id; rows move never, and are given again when nobody needs them."""

    def __init__(self) -> None:
        self.hustlers = HustlerColumns.empty(1_024)
        self.ids: Ids = np.zeros(1_024, "S16")
        self._stale: Mask = np.ones(1_024, np.bool_)
        self._read: NDArray[np.int64] = np.zeros(1_024, np.int64)
        """Which read of a row is under way, the last one that began; `_NONE`: none."""
        self._reads = _NONE
        self._known: Mask = np.zeros(1_024, np.bool_)
        """Whether a row was ever read."""
        self._seen_at_s: Floats = np.full(1_024, -np.inf)
        self._used = 0
        self._free: list[int] = []
        self._sorted: Ids = np.empty(0, "S16")
        self._row_of_sorted: Rows = np.empty(0, np.intp)

    def __len__(self) -> int:
        return self._sorted.size

    def rows_of(self, ids: Ids) -> Rows:
        """Returns the row of each hustler; `NOBODY` where there is none."""
        if not self._sorted.size:
            return np.full(ids.size, NOBODY, np.intp)
        at = np.minimum(np.searchsorted(self._sorted, ids), self._sorted.size - 1)
        return np.where(self._sorted[at] == ids, self._row_of_sorted[at], NOBODY)

    def add(self, ids: Ids) -> None:
        """Gives a row to each of these hustlers, all of them new and distinct; stale, and nobody yet.

        Hustlers who are found side by side get rows side by side. Beyond `ROWS_MAX` nobody is added.
        """
        ids = ids[: ROWS_MAX - len(self)]
        taken = [self._free.pop() for _ in range(min(len(self._free), ids.size))]
        fresh = ids.size - len(taken)
        self._reserve(self._used + fresh)
        rows = np.array([*taken, *range(self._used, self._used + fresh)], np.intp)
        self._used += fresh
        self.hustlers.put(rows, HustlerColumns.empty(rows.size))
        self.ids[rows] = ids
        self._stale[rows] = True
        self._read[rows] = _NONE
        self._known[rows] = False
        by_id = np.argsort(ids, kind="stable")
        places = np.searchsorted(self._sorted, ids[by_id])
        self._sorted = np.insert(self._sorted, places, ids[by_id])
        self._row_of_sorted = np.insert(self._row_of_sorted, places, rows[by_id])

    def seen(self, rows: Rows, now_s: float) -> None:
        """Notes that these were present, or are named by an offer, at a monotonic second."""
        self._seen_at_s[rows] = now_s

    def forget(self, before_s: float) -> None:
        """Gives up the rows of hustlers not seen since; no running broadcast may know them."""
        gone = self._seen_at_s[self._row_of_sorted] < before_s
        if not gone.any():
            return
        rows = self._row_of_sorted[gone]
        self.hustlers.active[rows] = False
        self._free += rows.tolist()
        self._sorted, self._row_of_sorted = self._sorted[~gone], self._row_of_sorted[~gone]

    def changed(self, hustlers: Sequence[UUID]) -> list[UUID]:
        """Marks these to be read again; returns those of them that have a row."""
        rows = self.rows_of(as_ids(hustlers))
        self._stale[rows[rows != NOBODY]] = True
        return [h for h, row in zip(hustlers, rows.tolist(), strict=True) if row != NOBODY]

    def may_be_offerable(self, hustlers: Collection[UUID], open_max: int) -> set[UUID]:
        """Returns those of these who have a free place, or of whom that is not known."""
        rows = self.rows_of(as_ids(hustlers))
        unknown = (rows == NOBODY) | self._stale[rows]
        free = unknown | (self.free_places(rows, open_max) > 0)
        return {h for h, is_free in zip(hustlers, free.tolist(), strict=True) if is_free}

    def all_changed(self) -> None:
        """Marks everybody to be read again."""
        self._stale[:] = True

    def to_read(self, rows: Rows, at_s: float) -> Rows:
        """Returns those whose facts are unknown, changed, or outdated by time; `at_s` in Unix s."""
        return rows[self._stale[rows] | (self.hustlers.changes_at[rows] <= at_s)]

    def reading(self, rows: Rows) -> int:
        """Notes that these are about to be read: what changes from now on marks them again.

        Returns the number of the read, by which its answer is put.
        """
        self._reads += 1
        self._stale[rows] = False
        self._read[rows] = self._reads
        return self._reads

    def put(self, rows: Rows, facts: HustlerColumns, read: int) -> Rows:
        """Writes what a read has found of these hustlers; a later read of a row, begun meanwhile, counts.

        Returns those who are active again: known, and not so before.
        """
        current = np.flatnonzero(self._read[rows] == read)
        rows, facts = rows[current], facts.take(current)
        again = rows[self._known[rows] & ~self.hustlers.active[rows] & facts.active]
        self.hustlers.put(rows, facts)
        self._known[rows] = True
        self._read[rows] = _NONE
        return again

    def unread(self, rows: Rows, read: int) -> None:
        """Marks those to be read again that a read has failed to bring."""
        failed = rows[self._read[rows] == read]
        self._stale[failed] = True
        self._read[failed] = _NONE

    def outdate(self, rows: Rows) -> bool:
        """Marks rows to be read again; returns whether any of them was not to be read already."""
        known = bool((~self._stale[rows]).any())
        self._stale[rows] = True
        return known

    def free_places(self, rows: Rows, open_max: int) -> NDArray[np.int64]:
        """Returns how many more offers each may hold: 0 for whoever is busy, inactive or unknown."""
        left = open_max - self.hustlers.open_offers[rows].astype(np.int64)
        return np.where(self.hustlers.active[rows] & ~self._stale[rows], np.maximum(left, 0), 0)

    def offers_opened(self, rows: Rows, by: int) -> None:
        """Moves the counts of open offers, of a row as often as it is named; never below none.

        A read that is under way may still count what has gone, so the row is read once more: too
        low a count costs a question, too high a one costs a place.
        """
        np.add.at(self.hustlers.open_offers, rows, by)
        if by < 0:
            np.maximum(self.hustlers.open_offers, 0, out=self.hustlers.open_offers)
            self._stale[rows[self._read[rows] != _NONE]] = True

    def uuids(self, rows: Rows) -> list[UUID]:
        """Returns the hustlers of these rows."""
        return as_uuids(self.ids[rows])

    def _reserve(self, rows: int) -> None:
        has = len(self._stale)
        if rows <= has:
            return
        room = min(max(rows, has + has // 2), ROWS_MAX)
        self.hustlers = self.hustlers.grow(room)
        self.ids = np.concatenate((self.ids, np.zeros(room - has, "S16")))
        self._stale = np.concatenate((self._stale, np.ones(room - has, np.bool_)))
        self._read = np.concatenate((self._read, np.zeros(room - has, np.int64)))
        self._known = np.concatenate((self._known, np.zeros(room - has, np.bool_)))
        self._seen_at_s = np.concatenate((self._seen_at_s, np.full(room - has, -np.inf)))


def as_ids(hustlers: Iterable[UUID] | Collection[UUID]) -> Ids:
    """Returns ids as a column of 16 bytes each."""
    return np.frombuffer(b"".join(hustler.bytes for hustler in hustlers), "S16")


def as_uuids(ids: Ids) -> list[UUID]:
    """Returns the hustlers of a column of ids; numpy itself would drop an id's trailing zeros."""
    raw = ids.tobytes()
    return [UUID(bytes=raw[at : at + 16]) for at in range(0, len(raw), 16)]

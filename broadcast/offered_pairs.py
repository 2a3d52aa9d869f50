"""One bit for each (broadcast, hustler) that needs no question any more, O(1) a pair.

Broadcasts are slots, hustlers are roster rows. A broadcast touches the hustlers of one region alone,
and rows are given out region by region: so bits stand in blocks of 1,024 rows, made when the first
of them is set. 10,000 broadcasts that reach 2,400 hustlers each take some 15 MB, where a full matrix
over 100,000 rows takes 125.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcast.hustler_columns import Mask, Rows

_ROWS: Final = 1_024
_BYTES: Final = _ROWS // 8
_NONE: Final = 0
"""The block that stays empty: where no bit was ever set."""


class OfferedPairs:
    """A sparse bitmap of pairs."""

    def __init__(self) -> None:
        self._blocks = np.zeros((16, 16), np.int32)  # of (slot, chunk of rows)
        self._pool = np.zeros((64, _BYTES), np.uint8)
        self._used = 1  # blocks of the pool ever given out
        self._free: list[int] = []

    @property
    def nbytes(self) -> int:
        """Returns the bytes that the index and the blocks take."""
        return self._blocks.nbytes + self._used * _BYTES

    def contains(self, slots: Rows, rows: Rows) -> Mask:
        """Returns which pairs have their bit: bool (n,)."""
        self._reach(slots, rows)
        block = self._blocks[slots, rows // _ROWS]
        byte = self._pool.reshape(-1)[block.astype(np.int64) * _BYTES + (rows % _ROWS >> 3)]
        return np.asarray(byte >> (rows & 7).astype(np.uint8) & 1, np.bool_)

    def add(self, slots: Rows, rows: Rows) -> None:
        """Sets the bits of n pairs, each once or more."""
        if not slots.size:
            return
        self._reach(slots, rows)
        self._make_blocks(slots, rows)
        np.bitwise_or.at(self._pool.reshape(-1), self._bytes(slots, rows), _bits(rows))

    def discard(self, slots: Rows, rows: Rows) -> None:
        """Clears the bits of n pairs; one that is not set stays so."""
        set_ = self.contains(slots, rows)
        slots, rows = slots[set_], rows[set_]
        np.bitwise_and.at(self._pool.reshape(-1), self._bytes(slots, rows), ~_bits(rows))

    def rows(self, slot: int) -> Rows:
        """Returns the rows whose bit is set for one broadcast."""
        if slot >= len(self._blocks):
            return np.empty(0, np.intp)
        chunks = np.flatnonzero(self._blocks[slot])
        bits = np.unpackbits(self._pool[self._blocks[slot, chunks]], axis=1, bitorder="little")
        chunk, row = np.nonzero(bits)
        return chunks[chunk] * _ROWS + row

    def clear(self, slot: int) -> None:
        """Clears every bit of a broadcast, and gives its blocks back."""
        if slot >= len(self._blocks):
            return
        blocks = self._blocks[slot]
        given_back = blocks[blocks != _NONE]
        self._pool[given_back] = 0
        self._free += given_back.tolist()
        self._blocks[slot] = _NONE

    def _bytes(self, slots: Rows, rows: Rows) -> Rows:
        block = self._blocks[slots, rows // _ROWS].astype(np.int64)
        return np.asarray(block * _BYTES + (rows % _ROWS >> 3), np.intp)

    def _reach(self, slots: Rows, rows: Rows) -> None:
        """Widens the index so that every slot and every row has a place in it."""
        if not slots.size:
            return
        height, width = self._blocks.shape
        slot, chunk = int(slots.max()), int(rows.max()) // _ROWS
        if slot >= height or chunk >= width:
            wider = np.zeros((_room(height, slot), _room(width, chunk)), np.int32)
            wider[:height, :width] = self._blocks
            self._blocks = wider

    def _make_blocks(self, slots: Rows, rows: Rows) -> None:
        missing = self._blocks[slots, rows // _ROWS] == _NONE
        if not missing.any():
            return
        width = self._blocks.shape[1]
        places = np.unique(slots[missing] * width + rows[missing] // _ROWS)
        numbers = [self._free.pop() for _ in range(min(len(self._free), places.size))]
        fresh = places.size - len(numbers)
        if self._used + fresh > len(self._pool):
            # in place where the system can remap memory: nothing is copied then
            self._pool.resize((_room(len(self._pool), self._used + fresh), _BYTES), refcheck=False)
        numbers += range(self._used, self._used + fresh)
        self._used += fresh
        self._blocks.reshape(-1)[places] = numbers


def _bits(rows: Rows) -> NDArray[np.uint8]:
    return np.left_shift(np.uint8(1), (rows & 7).astype(np.uint8))


def _room(has: int, needed: int) -> int:
    while has <= needed:
        has += has // 2 + 8
    return has

"""Which hustlers stand within which broadcasts' radius: a join by tiles, exact everywhere on earth.

Space, not the map, is cut into cubes at least as wide as the widest radius, so that neither poles nor
the antimeridian are special: whoever is within a radius is in the same cube or in one that touches
it. Inside a neighbourhood one matrix product over float32 coordinates about a local origin, with
slack, discards nearly all pairs; the float64 chord decides on the rest. (A float32 dot product of the
unit vectors themselves errs by 13.6 % of the hits at 3 miles.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcast.hustler_columns import Floats, Rows
from geo.units import EARTH_RADIUS_M

TILE_MIN: Final = 0.0012
"""The least width of a cube, in radii of the earth: 8 km. Smaller ones cost more turns than pairs."""

PAIRS_AT_ONCE: Final = 1 << 14
"""Cells of one matrix: what follows from them takes some milliseconds even if all are hits."""

_SLACK: Final = 1e-3
_SLACK_ABSOLUTE: Final = 2e-9
"""On the squared chord, relative and absolute: float32 errs by about 1e-10 there."""
_ROUNDING: Final = 1e-9
"""What float64 may err by, relative: whoever stands on the rim is left to the exact distance."""


def unit_vectors(lat: Floats, lng: Floats) -> Floats:
    """Returns the unit vectors of n points in degrees: (n, 3)."""
    lat, lng = np.radians(lat), np.radians(lng)
    level = np.cos(lat)
    return np.stack((level * np.cos(lng), level * np.sin(lng), np.sin(lat)), axis=1)


def squared_chord(radius_m: Floats) -> Floats:
    """Returns the squared chord, on the unit sphere, of a great-circle distance in metres."""
    return np.asarray((2.0 * np.sin(radius_m / (2.0 * EARTH_RADIUS_M))) ** 2, np.float64)


@dataclass(frozen=True, slots=True)
class Near:
    """Pairs within a radius: numbers of the broadcasts given, and of the hustlers given."""

    broadcast: Rows
    hustler: Rows


class BroadcastTiles:
    """m broadcasts sorted into cubes, to be joined with any number of hustlers."""

    def __init__(self, broadcasts: Floats, radius_m: Floats) -> None:
        """Takes unit vectors (m, 3), m > 0, and the radius of each broadcast in metres (m,)."""
        self._broadcasts = broadcasts
        self._limit = squared_chord(radius_m)
        self._width = max(TILE_MIN, float(np.sqrt(self._limit.max())) * (1.0 + _SLACK))
        keys = self._keys(broadcasts)
        self._by_tile = np.argsort(keys, kind="stable")
        self._sorted_keys = keys[self._by_tile]

    def near(self, hustlers: Floats) -> Iterator[Near]:
        """Yields the pairs within a radius of n hustlers, unit vectors (n, 3), in blocks.

        All pairs of one hustler are in the same block, so that the best of them are known with it.
        """
        keys = self._keys(hustlers)
        order = np.argsort(keys, kind="stable")
        tiles, begins = np.unique(keys[order], return_index=True)
        ends = np.append(begins[1:], len(order))
        # the three cubes in a row along z have consecutive keys: nine ranges instead of 27 cubes
        rows = tiles[:, None] + _NEIGHBOUR_ROWS[None, :]
        first = np.searchsorted(self._sorted_keys, rows - 1, "left")
        last = np.searchsorted(self._sorted_keys, rows + 1, "right")
        for tile in np.flatnonzero((last > first).any(axis=1)).tolist():
            ranges = zip(first[tile].tolist(), last[tile].tolist(), strict=True)
            broadcasts = np.concatenate([self._by_tile[a:b] for a, b in ranges if b > a])
            members = order[begins[tile] : ends[tile]]
            yield from self._within(members, hustlers[members], broadcasts)

    def _within(self, rows: Rows, here: Floats, broadcasts: Rows) -> Iterator[Near]:
        """Yields the pairs within a radius among hustlers of one tile and broadcasts around it."""
        there, limit = self._broadcasts[broadcasts], self._limit[broadcasts]
        slack = limit * _SLACK + _SLACK_ABSOLUTE
        h, b = (here - here[0]).astype(np.float32), (there - here[0]).astype(np.float32)
        # |h|² − 2 h·b + |b|² − limit − slack, as one product of five terms
        left = np.column_stack((h, np.einsum("ij,ij->i", h, h), np.ones(len(h), np.float32)))
        right = np.vstack(
            (-2.0 * b.T, np.ones(len(b), np.float32), np.einsum("ij,ij->i", b, b) - (limit + slack))
        ).astype(np.float32)
        # who is nearer than twice the slack is surely inside; only the rim needs float64
        surely = (-2.0 * slack).astype(np.float32)
        farthest = limit * (1.0 + _ROUNDING)
        width = broadcasts.size
        at_once = min(max(1, PAIRS_AT_ONCE // width), rows.size)
        of_pair = np.tile(broadcasts, at_once)
        for start in range(0, rows.size, at_once):
            some = rows[start : start + at_once]
            beyond = left[start : start + at_once] @ right
            inside = beyond <= surely
            rim = np.flatnonzero((beyond <= 0.0) ^ inside)
            apart = here[start + rim // width] - there[rim % width]
            near = np.einsum("ij,ij->i", apart, apart) <= farthest[rim % width]
            inside.reshape(-1)[rim] = near
            pairs = np.flatnonzero(inside)
            each = np.diff(pairs.searchsorted(np.arange(some.size + 1) * width))
            yield Near(of_pair.take(pairs), np.repeat(some, each))

    def _keys(self, points: Floats) -> NDArray[np.int64]:
        cube = np.floor((points + 2.0) / self._width).astype(np.int64)
        return np.asarray((cube[:, 0] * _STRIDE + cube[:, 1]) * _STRIDE + cube[:, 2], np.int64)


_STRIDE: Final = 1 << 12
_NEIGHBOUR_ROWS: Final = np.array(
    [(x * _STRIDE + y) * _STRIDE for x in (-1, 0, 1) for y in (-1, 0, 1)], np.int64
)

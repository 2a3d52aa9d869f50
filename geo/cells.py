"""H3 cells: the cell of a point, and the cells a radius may touch. The only importer of `h3`.

Cells are 64-bit ints, never strings.
A record lives in a cell whose centre is within `REACH_M` of its point; the cover rests on that.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Final

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

from geo.distance import distance_m, distances_m
from geo.points import LatLng
from geo.units import EARTH_RADIUS_M

PRESENCE_RESOLUTION: Final = 7  # measured best for reads: a median of 25 hustlers in a dense cell
PLACE_RESOLUTION: Final = 8  # what anybody but the poster sees of a place before the accept
PARTITION_RESOLUTION: Final = 4  # a 10-mile disc touches at most four such parents
PARTITIONS: Final = 64

MAX_RADIUS_M: Final = 40_233.6  # 25 miles, the widest radius a hustler may ask for
CACHED_COVERS: Final = 4096  # of up to 9 kB each (25 miles), 1.5 kB (10 miles): a task does not move, so each radius comes back

# The largest distance from a cell's centre to its rim on the globe, found at the centres of the
# icosahedron's faces (tests/geo/test_cells.py), plus 1 %.
REACH_M: Final = {
    resolution: largest * 1.01
    for resolution, largest in {5: 10_837.5, 6: 4_096.2, 7: 1_548.3, 8: 585.2, 9: 221.2}.items()
}

Cells = NDArray[np.uint64]


def cell_of(point: LatLng, resolution: int = PRESENCE_RESOLUTION) -> int:
    """Returns the cell that contains the point."""
    cell: int = h3.latlng_to_cell(point.lat, point.lng, resolution)
    return cell


def settle(point: LatLng, settled: int | None) -> int:
    """Returns the presence cell to keep a point in: the present one while the point is in reach.

    A hustler who drives along an edge, or whose fix jitters over it, thus writes no cell changes.
    """
    if settled is None:
        return cell_of(point)
    centre = centre_of(settled)
    # Nearly every heartbeat is settled by this bound, without trigonometry.
    if abs(point.lat - centre.lat) + abs(point.lng - centre.lng) <= _REACH_DEGREES:
        return settled
    cell = cell_of(point)
    if cell == settled or distance_m(point, centre) <= REACH_M[PRESENCE_RESOLUTION]:
        return settled
    return cell


# North, then east: degrees of longitude are the shorter ones.
_REACH_DEGREES: Final = math.degrees(REACH_M[PRESENCE_RESOLUTION] / EARTH_RADIUS_M) * (1 - 1e-9)


@lru_cache(maxsize=65_536)
def centre_of(cell: int) -> LatLng:
    """Returns the centre of a cell."""
    return LatLng(*h3.cell_to_latlng(cell))


def place_centre(lat: float, lng: float) -> LatLng:
    """Returns the public position of a place: its resolution-8 cell's centre. Raises `BadPoint`."""
    return centre_of(cell_of(LatLng(lat, lng), PLACE_RESOLUTION))


def cover(point: LatLng, radius_m: float, resolution: int = PRESENCE_RESOLUTION) -> Cells:
    """Returns every cell a record inside the radius may live in: uint64 (n,), read-only.

    Exact by construction; filter its records by distance afterwards. Those of presence are cached.
    Raises ValueError for a radius that is negative, not finite or over 25 miles, and for a
    resolution outside 5–9; so a walk is 190 rings at most, around a pentagon at resolution 9.

    >>> len(cover(LatLng(37.7749, -122.4194), 3 * 1609.344))
    21
    """
    if not 0.0 <= radius_m <= MAX_RADIUS_M:
        raise ValueError(f"radius {radius_m} m: not within 0–{MAX_RADIUS_M} m")
    if resolution not in REACH_M:
        raise ValueError(f"resolution {resolution}: not one of {sorted(REACH_M)}")
    if resolution == PRESENCE_RESOLUTION:
        return _presence_cover(point.lat, point.lng, float(radius_m))
    return _ring_stop_cover(point.lat, point.lng, float(radius_m), resolution)


@lru_cache(maxsize=CACHED_COVERS)
def _presence_cover(lat: float, lng: float, radius_m: float) -> Cells:
    return _ring_stop_cover(lat, lng, radius_m, PRESENCE_RESOLUTION)


def _ring_stop_cover(lat: float, lng: float, radius_m: float, resolution: int) -> Cells:
    """Returns the cells near enough, ring by ring outwards, up to the first ring without any.

    Cells that touch the disc hang together and neighbours differ by one ring at most, so no ring
    before the last touching one is empty, around a pentagon neither. A record that settled in a
    neighbour of its cell is one ring further at most, and that neighbour is kept for its reach.
    The usual disk of k = ceil(r / edge) rings loses up to 27 % of the hustlers in the US.
    """
    origin = LatLng(lat, lng)
    limit_m = radius_m + REACH_M[resolution]
    first = cell_of(origin, resolution)
    kept: list[int] = []
    for ring in itertools.count():
        cells = h3.grid_ring(first, ring)
        centres = np.array([h3.cell_to_latlng(cell) for cell in cells], dtype=np.float64)
        near = distances_m(origin, centres[:, 0], centres[:, 1]) <= limit_m
        if not near.any():
            break
        kept.extend(cell for cell, is_near in zip(cells, near.tolist(), strict=True) if is_near)
    found = np.array(kept, dtype=np.uint64)
    found.flags.writeable = False  # it is shared by the cache
    return found


def place_partition(lat: float, lng: float) -> int:
    """Returns the partition, 0–63, of a task at this place: that of its resolution-8 cell.

    Raises `BadPoint`.
    """
    return partition_of(cell_of(LatLng(lat, lng), PLACE_RESOLUTION))


def partition_of(cell: int) -> int:
    """Returns the partition, 0–63, of a cell of resolution ≥ 4: a hash of its res-4 parent.

    Always taken from the cell and never from the point: 6–7 % of points lie outside the parent of
    their own cell.
    """
    return (_parent(cell) * _GOLDEN & _MASK) >> 58


def partitions_of(cells: Cells) -> NDArray[np.intp]:
    """Returns the partition of each cell of resolution ≥ 4, as `partition_of` has it: intp (n,)."""
    mask = np.uint64(~_RESOLUTION_BITS & _MASK)
    parents = (cells & mask) | np.uint64(PARTITION_RESOLUTION << 52 | _FINER_DIGITS)
    return (parents * np.uint64(_GOLDEN) >> np.uint64(58)).astype(np.intp)


# H3's layout: bits 52–55 hold the resolution, below them three bits per resolution 1–15, and digits
# finer than the cell's own are all ones. So a parent is three operations.
_RESOLUTION_BITS: Final = 0xF << 52
_FINER_DIGITS: Final = (1 << 3 * (15 - PARTITION_RESOLUTION)) - 1
_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E37_79B9_7F4A_7C15  # Fibonacci hashing: the top six bits are the partition


def _parent(cell: int) -> int:
    return (cell & ~_RESOLUTION_BITS) | PARTITION_RESOLUTION << 52 | _FINER_DIGITS

"""The street graph of Marlow Bay: a grid that thins outwards, two avenues, a river, five bridges.

One road leaves the city eastwards and ends in the lanes of a village several miles away.

Everything follows from the seed; distances in metres, speeds in metres per second.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from bench.simulator.projection import Spot, apart_m

LANE_MPS = 12.0
ARTERIAL_MPS = 14.0
COLUMNS = range(-11, 26)
ROWS = range(-21, 22)
RIVER_HALF_WIDTH_M = 190.0
BRIDGE_COLUMNS = (-5, 0, 5, 12, 20)
PARK = Spot(2600.0, 3300.0)
PARK_RADIUS_M = 800.0
CLOSED_SHARE = 0.07
"""Share of side streets that are dead ends, so that the grid looks irregular."""

VALLEY_ROAD_FROM = Spot(11_900.0, 1_300.0)
VILLAGE = Spot(16_900.0, 2_300.0)
VALLEY_CORNERS = 7
VILLAGE_LANES = range(3)
LANE_M = 260.0
VALLEY_COLUMN = 1_000
"""Crossings outside of the grid are numbered from here."""

Crossing = tuple[int, int]


def _line_m(index: int) -> float:
    """Returns where the grid's index-th street runs: 230 m apart downtown, 700 m at the edge."""
    return math.copysign(230.0 * abs(index) + 9.5 * index * index, index)


def river_y(x: float) -> float:
    """Returns the northing of the river's middle at an easting."""
    return -1150.0 + 420.0 * math.sin(x / 2100.0) + 0.06 * x


def coast_x(y: float) -> float:
    """Returns the easting of the shore at a northing; the sea lies west of it."""
    return -3400.0 + 520.0 * math.sin(y / 2600.0) + 230.0 * math.sin(y / 900.0 + 1.0)


def _is_land(spot: Spot) -> bool:
    inside = (spot.x / 12_900.0) ** 2 + (spot.y / 9_700.0) ** 2 < 1.0
    dry = abs(spot.y - river_y(spot.x)) > RIVER_HALF_WIDTH_M and spot.x > coast_x(spot.y)
    return inside and dry and apart_m(spot, PARK) > PARK_RADIUS_M


@dataclass(frozen=True, slots=True)
class Route:
    """A way along streets: its corners, and seconds from the start at each of them."""

    corners: tuple[Spot, ...]
    seconds: tuple[float, ...]

    @property
    def duration_s(self) -> float:
        """Returns how long the whole way takes at the streets' own speeds."""
        return self.seconds[-1]

    def at(self, elapsed_s: float) -> Spot:
        """Returns the spot after `elapsed_s` on the way; the ends outside of it."""
        if elapsed_s <= 0:
            return self.corners[0]
        if elapsed_s >= self.duration_s:
            return self.corners[-1]
        leg = bisect_right(self.seconds, elapsed_s) - 1
        start, end = self.corners[leg], self.corners[leg + 1]
        share = (elapsed_s - self.seconds[leg]) / (self.seconds[leg + 1] - self.seconds[leg])
        return Spot(start.x + (end.x - start.x) * share, start.y + (end.y - start.y) * share)


class Streets:
    """The street graph; the same seed gives the same city."""

    def __init__(self, seed: int) -> None:
        rng = Random(f"streets {seed}")
        tilt = math.radians(7)
        self._spots: dict[Crossing, Spot] = {}
        for column in COLUMNS:
            for row in ROWS:
                x, y = _line_m(column), _line_m(row)
                spot = Spot(
                    x * math.cos(tilt) - y * math.sin(tilt) + rng.gauss(0, 12),
                    x * math.sin(tilt) + y * math.cos(tilt) + rng.gauss(0, 12),
                )
                if _is_land(spot):
                    self._spots[column, row] = spot
        self._next: dict[Crossing, list[tuple[Crossing, float]]] = {c: [] for c in self._spots}
        for crossing in self._spots:
            self._lay_streets_from(crossing, rng)
        self._lay_the_valley(rng)
        self._keep_what_connects()
        self.crossings: tuple[Spot, ...] = tuple(self._spots.values())

    def _lay_streets_from(self, crossing: Crossing, rng: Random) -> None:
        column, row = crossing
        for ahead in ((column + 1, row), (column, row + 1)):
            arterial = (column if ahead[0] == column else row) % 4 == 0
            if rng.random() >= (0.0 if arterial else CLOSED_SHARE):
                self._lay(crossing, ahead, ARTERIAL_MPS if arterial else LANE_MPS)
        if column == row and column >= 0:
            self._lay(crossing, (column + 1, row + 1), ARTERIAL_MPS)
        if column == -row and column >= 8:
            self._lay(crossing, (column + 1, row - 1), ARTERIAL_MPS)
        if column in BRIDGE_COLUMNS and (column, row + 1) not in self._spots:
            for far in range(row + 2, row + 6):
                if (column, far) in self._spots:
                    self._lay(crossing, (column, far), ARTERIAL_MPS)
                    break

    def _lay(self, a: Crossing, b: Crossing, speed_mps: float) -> None:
        if a not in self._spots or b not in self._spots:
            return
        middle = Spot(*(sum(axis) / 2 for axis in zip(self._spots[a], self._spots[b], strict=True)))
        over_water = abs(middle.y - river_y(middle.x)) < RIVER_HALF_WIDTH_M * 0.6
        if over_water and not (a[0] == b[0] and a[0] in BRIDGE_COLUMNS):
            return
        seconds = apart_m(self._spots[a], self._spots[b]) / speed_mps
        self._next[a].append((b, seconds))
        self._next[b].append((a, seconds))

    def _lay_the_valley(self, rng: Random) -> None:
        """Adds the winding road to the village, and the village's few lanes."""
        before = self._crossing(VALLEY_ROAD_FROM)
        first = self._spots[before]
        for corner in range(1, VALLEY_CORNERS + 1):
            share = corner / VALLEY_CORNERS
            bend = 380.0 * math.sin(share * 2.2 * math.pi)
            here = (VALLEY_COLUMN + corner, 0)
            self._add(
                here,
                first.x + (VILLAGE.x - first.x) * share,
                first.y + (VILLAGE.y - first.y) * share + bend * (1 - share) + rng.gauss(0, 25),
            )
            self._lay(before, here, ARTERIAL_MPS)
            before = here
        for column in VILLAGE_LANES:
            for row in VILLAGE_LANES:
                here = (VALLEY_COLUMN * 2 + column, row)
                x, y = VILLAGE.x + 90 + LANE_M * column, VILLAGE.y + LANE_M * (row - 1)
                self._add(here, x + rng.gauss(0, 30), y + rng.gauss(0, 30))
                self._lay((here[0] - 1, row), here, LANE_MPS)
                self._lay((here[0], row - 1), here, LANE_MPS)
        self._lay(before, (VALLEY_COLUMN * 2, 1), ARTERIAL_MPS)

    def _add(self, crossing: Crossing, x: float, y: float) -> None:
        self._spots[crossing] = Spot(x, y)
        self._next[crossing] = []

    def _keep_what_connects(self) -> None:
        reached, waiting = {(0, 0)}, [(0, 0)]
        while waiting:
            for crossing, _ in self._next[waiting.pop()]:
                if crossing not in reached:
                    reached.add(crossing)
                    waiting.append(crossing)
        self._spots = {c: spot for c, spot in self._spots.items() if c in reached}
        self._next = {c: self._next[c] for c in self._spots}

    def nearest(self, spot: Spot) -> Spot:
        """Returns the crossing nearest to a spot."""
        return self._spots[self._crossing(spot)]

    def _crossing(self, spot: Spot) -> Crossing:
        return min(self._spots, key=lambda crossing: apart_m(self._spots[crossing], spot))

    def route(self, start: Spot, end: Spot) -> Route:
        """Returns the fastest way between two spots, from crossing to crossing."""
        first, last = self._crossing(start), self._crossing(end)
        goal = self._spots[last]
        came: dict[Crossing, Crossing] = {}
        best = {first: 0.0}
        heap = [(0.0, first)]
        while heap:
            _, here = heapq.heappop(heap)
            if here == last:
                break
            for there, seconds in self._next[here]:
                reach = best[here] + seconds
                if reach < best.get(there, math.inf):
                    best[there], came[there] = reach, here
                    left_s = apart_m(self._spots[there], goal) / ARTERIAL_MPS
                    heapq.heappush(heap, (reach + left_s, there))
        way = [last]
        while way[-1] != first:
            way.append(came[way[-1]])
        corners = [start, *(self._spots[crossing] for crossing in reversed(way)), end]
        return _timed(corners, best, list(reversed(way)))


def _timed(corners: list[Spot], best: dict[Crossing, float], way: list[Crossing]) -> Route:
    lead_in_s = apart_m(corners[0], corners[1]) / LANE_MPS
    clock = [0.0, *(lead_in_s + best[crossing] for crossing in way)]
    clock.append(clock[-1] + apart_m(corners[-2], corners[-1]) / LANE_MPS)
    kept = [0] + [i for i, (a, b) in enumerate(pairwise(clock), start=1) if b > a]
    if len(kept) == 1:
        kept = [0, len(corners) - 1]
        clock[-1] = 1.0
    return Route(tuple(corners[i] for i in kept), tuple(clock[i] for i in kept))

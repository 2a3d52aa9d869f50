"""What else would find the pairs in radius: GEOSEARCH one by one, and a k-d tree rebuilt each tick."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree  # type: ignore[import-untyped]

from bench.matching.market import Place
from bench.micro.radius_query import City, geosearch
from broadcast.tiles import BroadcastTiles, squared_chord, unit_vectors
from geo.cells import cover
from geo.presence.presence import Presence
from geo.units import METRES_PER_MILE
from geo.valkey import Valkey

ROUNDS = 3
SEARCHES = 200
AT_ONCE = 250
"""Broadcasts asked of the tree at once: the lists that it returns take a gigabyte otherwise."""


@dataclass(frozen=True)
class Join:
    """Milliseconds of joining every hustler with every broadcast, and how many pairs there are."""

    tiles_ms: float
    tree_ms: float
    count_ms: float
    """The tree counting the pairs alone, without saying which they are."""
    pairs: int


def joins(city: City, places: Sequence[Place], miles: float) -> Join:
    """Measures the join by tiles against a cKDTree's rebuild and count, in turns."""
    points = np.array([(place.point.lat, place.point.lng) for place in places])
    hustlers = unit_vectors(city.lat, city.lng)
    broadcasts = unit_vectors(points[:, 0], points[:, 1])
    radius_m = np.full(len(places), miles * METRES_PER_MILE)
    chord = float(np.sqrt(squared_chord(radius_m)[0]))

    def by_tiles() -> int:
        return sum(
            near.broadcast.size for near in BroadcastTiles(broadcasts, radius_m).near(hustlers)
        )

    def by_tree() -> int:
        tree = cKDTree(hustlers)
        parts = (broadcasts[n : n + AT_ONCE] for n in range(0, len(broadcasts), AT_ONCE))
        return sum(len(near) for part in parts for near in tree.query_ball_point(part, chord))

    def counted() -> int:
        return int(cKDTree(hustlers).query_ball_point(broadcasts, chord, return_length=True).sum())

    took_ms: dict[str, list[float]] = {}
    found = set()
    for _ in range(ROUNDS):
        for way in (by_tiles, by_tree, counted):
            took, pairs = _timed(way)
            took_ms.setdefault(way.__name__, []).append(took)
            found.add(pairs)
    if max(found) - min(found) > max(2, min(found) // 10_000):
        raise AssertionError(f"tiles and tree find different pairs: {sorted(found)}")
    tiles_ms, tree_ms, count_ms = (statistics.median(took) for took in took_ms.values())
    return Join(tiles_ms, tree_ms, count_ms, max(found))


async def read_everybody_ms(presence: Presence, places: Sequence[Place], miles: float) -> float:
    """Returns the CPU of reading everybody whom the broadcasts may reach, as a tick does."""
    radius_m = miles * METRES_PER_MILE
    cells = np.unique(np.concatenate([cover(place.point, radius_m) for place in places]))
    spent = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        await presence.within(cells)
        spent.append((time.process_time() - begun) * 1e3)
    return statistics.median(spent)


async def geosearches_ms(client: Valkey, places: Sequence[Place], miles: float) -> dict[str, float]:
    """Returns the median wait of one GEOSEARCH around a broadcast, in each of its forms."""
    forms = {
        "ids only": geosearch(client),
        "with positions": geosearch(client, b"WITHCOORD"),
        "nearest 50": geosearch(client, b"ASC", b"COUNT", b"50"),
    }
    medians = {}
    for name, query in forms.items():
        waits = []
        for place in places[:SEARCHES]:
            begun = time.perf_counter()
            await query(place.point, miles * METRES_PER_MILE)
            waits.append((time.perf_counter() - begun) * 1e3)
        medians[name] = statistics.median(waits)
    return medians


def _timed(work: Callable[[], int]) -> tuple[float, int]:
    begun = time.process_time()
    result = work()
    return (time.process_time() - begun) * 1e3, result

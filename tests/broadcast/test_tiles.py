"""The join by tiles against brute force, everywhere on earth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.hustler_columns import Floats
from broadcast.tiles import BroadcastTiles, unit_vectors
from geo.distance import pairwise_m
from geo.units import EARTH_RADIUS_M, METRES_PER_MILE

PLACES = {
    "a city": (37.77, -122.42),
    "the antimeridian": (-16.5, 180.0),
    "the north pole": (90.0, 0.0),
    "the south pole": (-90.0, 77.0),
    "the equator and Greenwich": (0.0, 0.0),
    "a corner of the tiles": (35.26438968, 45.0),
}


def around(
    random: np.random.Generator, lat: float, lng: float, n: int, miles: float
) -> tuple[Floats, Floats]:
    """N points spread evenly over a disc: degrees; a pole's disc goes all around it."""
    distance = np.sqrt(random.random(n)) * miles * METRES_PER_MILE / EARTH_RADIUS_M
    bearing = random.random(n) * 2 * np.pi
    from_lat, from_lng = np.radians(lat), np.radians(lng)
    to_lat = np.arcsin(
        np.sin(from_lat) * np.cos(distance) + np.cos(from_lat) * np.sin(distance) * np.cos(bearing)
    )
    to_lng = from_lng + np.arctan2(
        np.sin(bearing) * np.sin(distance) * np.cos(from_lat),
        np.cos(distance) - np.sin(from_lat) * np.sin(to_lat),
    )
    return np.degrees(to_lat), (np.degrees(to_lng) + 540.0) % 360.0 - 180.0


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("widest", [3.0, 10.0, 25.0])
def test_exactly_those_in_radius_are_found(place: str, widest: float) -> None:
    """Every pair once, none missing, and no more outside than rounding lets in."""
    random = np.random.default_rng(int(widest))
    lat, lng = around(random, *PLACES[place], 700, 3 * widest)
    task_lat, task_lng = around(random, *PLACES[place], 90, 2 * widest)
    radius_m = random.choice([3.0, 5.0, widest], 90) * METRES_PER_MILE
    # some stand on the rim
    radius_m[:10] = pairwise_m(task_lat[:10], task_lng[:10], lat[:10], lng[:10])
    kept = radius_m <= 25 * METRES_PER_MILE
    task_lat, task_lng, radius_m = task_lat[kept], task_lng[kept], radius_m[kept]
    tiles = BroadcastTiles(unit_vectors(task_lat, task_lng), radius_m)
    found = [
        (int(b), int(h))
        for near in tiles.near(unit_vectors(lat, lng))
        for b, h in zip(near.broadcast, near.hustler, strict=True)
    ]
    metres = np.stack([pairwise_m(task_lat, task_lng, a, b) for a, b in zip(lat, lng, strict=True)])
    hustler, broadcast = np.nonzero(metres <= radius_m)
    inside = set(zip(broadcast.tolist(), hustler.tolist(), strict=True))
    assert len(inside) > 100
    assert len(found) == len(set(found))
    assert inside <= set(found)
    for b, h in set(found) - inside:
        assert metres[h, b] <= radius_m[b] * (1 + 1e-8)


@given(st.integers(0, 2**32 - 1))
def test_all_pairs_of_a_hustler_come_in_one_block(seed: int) -> None:
    """So the best of them are known with the block."""
    random = np.random.default_rng(seed)
    lat, lng = around(random, 40.7, -74.0, 300, 40)
    task_lat, task_lng = around(random, 40.7, -74.0, 50, 40)
    radius_m = np.full(50, 10 * METRES_PER_MILE)
    tiles = BroadcastTiles(unit_vectors(task_lat, task_lng), radius_m)
    seen: set[int] = set()
    for near in tiles.near(unit_vectors(lat, lng)):
        hustlers = set(near.hustler.tolist())
        assert not hustlers & seen
        seen |= hustlers
    assert seen

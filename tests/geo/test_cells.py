from __future__ import annotations

import itertools
import math
from collections import Counter

import h3.api.basic_int as h3
import numpy as np
import pytest

from geo import cells
from geo.cells import REACH_M, cell_of, cover, partition_of, place_centre, settle
from geo.distance import distance_m, distances_m
from geo.points import BadPoint, LatLng
from geo.units import metres
from tests.geo.sphere import CITIES, PENTAGONS, PLACES, random_places, reached, scattered

TEN_MILES_M = metres(10)


def missed(origin: LatLng, radius_m: float, lat: object, lng: object, homes: object) -> int:
    """How many of these points lie inside the radius but live in no cell of the cover."""
    lat, lng, homes = np.asarray(lat), np.asarray(lng), np.asarray(homes, dtype=np.uint64)
    resolution = h3.get_resolution(int(homes[0]))
    inside = distances_m(origin, lat, lng) <= radius_m
    return int((inside & ~np.isin(homes, cover(origin, radius_m, resolution))).sum())


def homes_of(lat: object, lng: object, resolution: int) -> list[int]:
    """The cell of each point."""
    pairs = zip(np.asarray(lat).tolist(), np.asarray(lng).tolist(), strict=True)
    return [h3.latlng_to_cell(*pair, resolution) for pair in pairs]


def test_no_hustler_is_missed_who_stays_settled_beyond_the_edge_of_a_cell() -> None:
    """A record may live in a neighbour of its point's cell; the cover reaches it."""
    rng = np.random.default_rng(4)
    beyond = 0
    for place in PLACES + random_places(rng, 10):
        lat, lng = scattered(rng, place, 300, 12_000)
        homes = homes_of(lat, lng, 7)
        for _ in range(3):  # drive on, up to a few hundred metres a step
            lat = np.clip(lat + rng.normal(0, 0.003, 300), -90, 90)
            lng = np.clip(lng + rng.normal(0, 0.003, 300), -180, 180)
            homes = [settle(LatLng(*at), home) for *at, home in zip(lat, lng, homes, strict=True)]
        beyond += int((np.array(homes) != np.array(homes_of(lat, lng, 7))).sum())
        for radius_m in (metres(3), TEN_MILES_M, rng.uniform(0, 16_000)):
            assert missed(place, radius_m, lat, lng, homes) == 0
    assert beyond > 500, "the test must try what it says"


def test_the_usual_disk_would_have_missed_some() -> None:
    """The check can fail: k = ceil(r / (√3 × average edge)) loses hustlers."""
    rng = np.random.default_rng(5)
    lost = 0
    for place in PENTAGONS:
        lat, lng = scattered(rng, place, 300, TEN_MILES_M)
        disk = h3.grid_disk(cell_of(place), math.ceil(TEN_MILES_M / (math.sqrt(3) * 1_406)))
        inside = distances_m(place, lat, lng) <= TEN_MILES_M
        lost += int((inside & ~np.isin(homes_of(lat, lng, 7), disk)).sum())
    assert lost > 0


@pytest.mark.parametrize("resolution", sorted(REACH_M))
def test_no_cell_reaches_farther_than_its_resolution_allows(resolution: int) -> None:
    """Largest are the cells at the centres of the icosahedron's faces; 1 % stays in hand."""
    corners = [_unit(point) for point in PENTAGONS]
    edge = min(math.dist(corners[0], corner) for corner in corners[1:])
    triples = itertools.combinations(corners, 3)
    faces = [
        sum(triple)
        for triple in triples
        if all(math.dist(a, b) < edge * 1.05 for a, b in itertools.combinations(triple, 2))
    ]
    assert len(faces) == 20
    places = [_point(face) for face in faces] + random_places(np.random.default_rng(6), 150)
    largest = 0.0
    for place in places:
        for cell in h3.grid_disk(cell_of(place, resolution), 2):
            centre = LatLng(*h3.cell_to_latlng(cell))
            rim = np.array(h3.cell_to_boundary(cell))
            reach: float = max(distances_m(centre, rim[:, 0], rim[:, 1]).tolist())
            largest = max(largest, reach)
    assert REACH_M[resolution] * 0.985 < largest < REACH_M[resolution] / 1.009


def _unit(point: LatLng) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    lat, lng = math.radians(point.lat), math.radians(point.lng)
    return np.array([math.cos(lat) * math.cos(lng), math.cos(lat) * math.sin(lng), math.sin(lat)])


def _point(vector: object) -> LatLng:
    x, y, z = (np.asarray(vector) / np.linalg.norm(np.asarray(vector))).tolist()
    return LatLng(math.degrees(math.asin(z)), math.degrees(math.atan2(y, x)))


@pytest.mark.parametrize("place", PENTAGONS[:4])
def test_rings_at_a_pentagon_have_five_cells_a_step(place: LatLng) -> None:
    """6, 16 and 31 cells, not 7, 19 and 37, and never a zero among them."""
    first = cell_of(place)
    for k, size in ((1, 6), (2, 16), (3, 31)):
        rings = [cell for ring in range(k + 1) for cell in h3.grid_ring(first, ring)]
        assert len(set(rings)) == len(rings) == size
        assert sorted(rings) == sorted(h3.grid_disk(first, k))
        assert 0 not in rings


def test_a_cover_fetches_little_more_than_it_must() -> None:
    """About 24 and 186 cells for 3 and 10 miles, where a safe disk takes 61 and 397."""
    assert len(cover(CITIES[0], metres(3))) <= 35
    assert len(cover(CITIES[0], TEN_MILES_M)) <= 210
    assert len(cover(CITIES[0], 0.0)) <= 7


def test_a_cover_is_made_once_and_cannot_be_spoilt() -> None:
    """A task does not move, so each of its radii comes back; the cached array is shared."""
    first = cover(CITIES[1], metres(5))
    assert cover(LatLng(CITIES[1].lat, CITIES[1].lng), metres(5)) is first
    assert first.dtype == np.uint64
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


@pytest.mark.parametrize("radius_m", [-1.0, math.nan, math.inf, cells.MAX_RADIUS_M + 1])
def test_a_radius_that_is_none_is_refused(radius_m: float) -> None:
    """Huge rings have made other bindings run out of memory."""
    with pytest.raises(ValueError, match="radius"):
        cover(CITIES[0], radius_m)


def test_a_resolution_without_a_known_reach_is_refused() -> None:
    """The cover rests on the reach."""
    with pytest.raises(ValueError, match="resolution"):
        cover(CITIES[0], 1_000, 10)


def test_a_partition_comes_from_the_cells_parent_never_from_the_point() -> None:
    """The bits give the same parent as H3, and all cells of a parent share a partition."""
    rng = np.random.default_rng(10)
    elsewhere, used = 0, Counter[int]()
    for place in PLACES + random_places(rng, 3_000):
        cell = cell_of(place)
        parent = h3.cell_to_parent(cell, 4)
        assert partition_of(cell) == partition_of(parent)
        assert 0 <= partition_of(cell) < cells.PARTITIONS
        elsewhere += parent != cell_of(place, 4)
        used[partition_of(cell)] += 1
    assert elsewhere > 0, "points outside the parent of their cell are the trap"
    assert len(used) == cells.PARTITIONS
    assert max(used.values()) < 4 * 3_000 / cells.PARTITIONS


def test_partitions_of_many_are_those_of_each() -> None:
    """The vector of the numbers is the number of each."""
    some = np.array([cell_of(place) for place in PLACES], dtype=np.uint64)
    assert cells.partitions_of(some).tolist() == [partition_of(cell) for cell in some.tolist()]


def test_partitions_never_change() -> None:
    """They are in the keys of running servers: a new hash would lose everybody."""
    assert [partition_of(cell_of(city)) for city in CITIES] == [7, 54, 30]


def test_both_sides_of_the_antimeridian_are_one_cell() -> None:
    """−180 and +180 are the same meridian."""
    assert cell_of(LatLng(10, 180)) == cell_of(LatLng(10, -180))


def test_a_hustler_on_an_edge_causes_no_write_storm() -> None:
    """Two fixes a metre apart in two cells: the settled one keeps both, a drive away does not."""
    cell = cell_of(CITIES[0])
    centre = LatLng(*h3.cell_to_latlng(cell))
    corner = LatLng(*h3.cell_to_boundary(cell)[0])
    out = LatLng(
        centre.lat + (corner.lat - centre.lat) * 1.001,
        centre.lng + (corner.lng - centre.lng) * 1.001,
    )
    assert cell_of(out) != cell
    assert settle(out, cell) == cell
    assert settle(out, None) == cell_of(out)
    assert settle(CITIES[1], cell) == cell_of(CITIES[1])


def test_a_hustler_stays_settled_within_the_reach_of_the_cell_and_no_farther() -> None:
    """The quick bound decides nothing that the distance would not; at poles and ±180 as well."""
    rng = np.random.default_rng(12)
    stayed = moved = 0
    for place in PLACES + random_places(rng, 40):
        settled = cell_of(place)
        centre = LatLng(*h3.cell_to_latlng(settled))
        bearing = np.concatenate([np.arange(4) * np.pi / 2, rng.uniform(0, 2 * np.pi, 36)])
        lat, lng = reached(centre, bearing, REACH_M[7] * rng.uniform(0.7, 1.2, 40))
        for at in zip(lat.tolist(), lng.tolist(), strict=True):
            point = LatLng(*at)
            stays = distance_m(point, centre) <= REACH_M[7]
            assert settle(point, settled) == (settled if stays else cell_of(point))
            stayed, moved = stayed + stays, moved + (not stays)
    assert min(stayed, moved) > 500


def test_a_strangers_view_of_a_place_is_the_centre_of_its_cell() -> None:
    """Every point of a resolution-8 cell looks the same, at most 591 m away."""
    rng = np.random.default_rng(11)
    lat, lng = scattered(rng, CITIES[0], 200, 3_000)
    for at in zip(lat.tolist(), lng.tolist(), strict=True):
        seen = place_centre(*at)
        assert seen == LatLng(*h3.cell_to_latlng(h3.latlng_to_cell(*at, 8)))
        assert distance_m(seen, LatLng(*at)) <= REACH_M[8]
    with pytest.raises(BadPoint):
        place_centre(91.0, 0.0)

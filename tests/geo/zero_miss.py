"""Zero misses: random points inside random discs, each in a cell that the disc's cover has.

    python -m tests.geo.zero_miss --checks 100000000 --state zero_miss.json

Centres lie evenly on the sphere, around the twelve pentagons, at the poles, on the antimeridian and
between 25 and 49 N; radii go from 0 to 25 miles, resolutions from 5 to 9. Half of the points lie
on the rim, as near as float64 has it; a point exactly on it is inside. Every eighth has settled in
a neighbouring cell, in the one that is farthest away of those that may keep it.

Batch n of a seed is always the same, so a run goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

from geo.cells import MAX_RADIUS_M, REACH_M, Cells, cell_of
from geo.cells import cover as exact_cover
from geo.distance import _haversine_m, distances_m
from geo.points import LatLng
from geo.units import metres
from tests.geo.sphere import PENTAGONS, Floats, random_places, reached

SEED: Final = 28
QUERIES: Final = 50  # of a batch
POINTS: Final = 2_000  # of a query
SETTLED_EVERY: Final = 8
RESOLUTIONS: Final = (5, 6, 7, 7, 7, 7, 7, 7, 8, 9)
PLAN_MILES: Final = (3, 5, 7, 9, 10, 25)
# Fine covers are large (50,000 cells of resolution 9 for 25 miles), and around a pentagon, where H3
# has no quick ring, slow to make: most queries of theirs stay within these, one in 200 does not.
FINE_RADIUS_M: Final = {8: metres(10), 9: metres(5)}
FINE_ANYWAY: Final = 0.005

Cover = Callable[[LatLng, float, int], Cells]
Rng = np.random.Generator


@dataclass
class Progress:
    """How far a run has come: batches done of a seed, checks made in them, and what was missed."""

    seed: int = SEED
    batches: int = 0
    checks: int = 0
    misses: int = 0
    first_miss: str = ""


def run_batch(
    progress: Progress, cover: Cover = exact_cover, *, queries: int = QUERIES, points: int = POINTS
) -> None:
    """Makes the next batch of checks and counts them."""
    rng = np.random.default_rng([progress.seed, progress.batches])
    for _ in range(queries):
        resolution = int(rng.choice(RESOLUTIONS))
        origin = _centre(rng, resolution)
        radius_m = _radius(rng, resolution)
        inside, missed = missed_by(cover, rng, origin, radius_m, resolution, points)
        progress.checks += inside
        progress.misses += missed
        if missed and not progress.first_miss:
            progress.first_miss = f"{missed} of {inside}: {origin}, {radius_m} m, {resolution}"
    progress.batches += 1


def missed_by(
    cover: Cover, rng: Rng, origin: LatLng, radius_m: float, resolution: int, points: int
) -> tuple[int, int]:
    """Returns how many points inside the disc were tried, and how many no cell of the cover has."""
    lat, lng = _points(rng, origin, radius_m, points)
    homes = [
        h3.latlng_to_cell(*pair, resolution)
        for pair in zip(lat.tolist(), lng.tolist(), strict=True)
    ]
    some = slice(0, points, SETTLED_EVERY)
    homes[some] = _settled(origin, lat[some], lng[some], homes[some], resolution)
    inside = distances_m(origin, lat, lng) <= radius_m
    has = np.isin(np.array(homes, dtype=np.uint64), cover(origin, radius_m, resolution))
    return int(inside.sum()), int((inside & ~has).sum())


def _centre(rng: Rng, resolution: int) -> LatLng:
    """Returns a centre; every third one is at a corner of its cell, where rings reach least far."""
    place = _place(rng)
    if rng.integers(3):
        return place
    corners = h3.cell_to_boundary(cell_of(place, resolution))
    return LatLng(*corners[int(rng.integers(len(corners)))])


def _place(rng: Rng) -> LatLng:
    """Returns a place: anywhere, or where covers go wrong elsewhere, or where the product works."""
    kind = int(rng.integers(6))
    if kind == 0:
        (place,) = random_places(rng, 1)
        return place
    if kind == 1:
        return _near(rng, PENTAGONS[int(rng.integers(12))])
    if kind == 2:
        return _near(rng, LatLng(float(rng.choice([-90.0, 90.0])), 0.0))
    if kind == 3:
        return _near(rng, LatLng(float(rng.uniform(-85, 85)), float(rng.choice([-180.0, 180.0]))))
    return LatLng(float(rng.uniform(25, 49)), float(rng.uniform(-125, -67)))


def _near(rng: Rng, place: LatLng) -> LatLng:
    """Returns the place itself, or one up to 60 km from it."""
    away_m = float(rng.choice([0.0, rng.uniform(0, 60_000), 10 ** rng.uniform(-3, 4)]))
    lat, lng = reached(place, rng.uniform(0, 2 * np.pi, 1), np.array([away_m]))
    return LatLng(float(lat[0]), float(lng[0]))


def _radius(rng: Rng, resolution: int) -> float:
    """Returns a radius: a plan's, any, or one of a cell's own size, where a ring more counts."""
    largest_m = MAX_RADIUS_M
    if rng.uniform() > FINE_ANYWAY:
        largest_m = FINE_RADIUS_M.get(resolution, MAX_RADIUS_M)
    edge_m = h3.average_hexagon_edge_length(resolution, unit="m")
    any_m = float(rng.uniform(0, largest_m))
    small_m = edge_m * float(rng.choice([rng.uniform(0, 4), int(rng.integers(4))]))
    plan_m = metres(float(rng.choice(PLAN_MILES)))
    return min(float(rng.choice([any_m, small_m, plan_m])), largest_m)


def _points(rng: Rng, origin: LatLng, radius_m: float, count: int) -> tuple[Floats, Floats]:
    """Returns points of a disc: half within it, half from 1 m inside the rim to on top of it."""
    away_m = radius_m * np.sqrt(rng.uniform(0, 1, count))
    rim = rng.uniform(0, 1, count) < 0.5
    away_m[rim] = np.maximum(radius_m - 10.0 ** rng.uniform(-9, 0, int(rim.sum())), 0.0)
    return reached(origin, rng.uniform(0, 2 * np.pi, count), away_m)


def _settled(
    origin: LatLng, lat: Floats, lng: Floats, homes: list[int], resolution: int
) -> list[int]:
    """Returns for each point the cell that may keep it whose centre is farthest from `origin`."""
    around = [(h3.grid_disk(home, 1) * 2)[:7] for home in homes]  # a pentagon's six, one twice
    centres = {cell: h3.cell_to_latlng(cell) for row in around for cell in row}
    at: NDArray[np.float64] = np.array([[centres[cell] for cell in row] for row in around])
    kept_m: Floats = _haversine_m(at[:, :, 0], at[:, :, 1], lat[:, None], lng[:, None])
    keeps = kept_m <= REACH_M[resolution]
    away_m = distances_m(origin, at[:, :, 0], at[:, :, 1])
    farthest = np.argmax(np.where(keeps, away_m, -1.0), axis=1)
    return [row[column] for row, column in zip(around, farthest.tolist(), strict=True)]


def too_small_disk(origin: LatLng, radius_m: float, resolution: int) -> Cells:
    """The cover that misses some: the disk of k = ceil(radius / edge) rings."""
    edge_m = h3.average_hexagon_edge_length(resolution, unit="m")
    disk = h3.grid_disk(cell_of(origin, resolution), int(np.ceil(radius_m / edge_m)))
    return np.array(disk, dtype=np.uint64)


def swapped(origin: LatLng, radius_m: float, resolution: int) -> Cells:
    """The cover of a centre whose latitude and longitude were taken for each other."""
    other = LatLng((origin.lng + 90) % 180 - 90, origin.lat)
    return exact_cover(other, radius_m, resolution)


def main() -> int:
    """Runs until so many checks are made, and says how far it has come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=100_000_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--state", type=Path, help="where the progress is kept, to go on from it")
    arguments = parser.parse_args()
    progress = Progress(arguments.seed)
    if arguments.state and arguments.state.exists():
        progress = Progress(**json.loads(arguments.state.read_text()))
    said_at = time.monotonic()
    while progress.checks < arguments.checks:
        run_batch(progress)
        if arguments.state:
            arguments.state.write_text(json.dumps(asdict(progress)))
        if time.monotonic() - said_at > 10:
            said_at = time.monotonic()
            print(f"{progress.checks:,} checks, {progress.misses} misses", flush=True)
    print(f"{progress.checks:,} checks, seed {progress.seed}: {progress.misses} misses")
    print(progress.first_miss)
    return int(progress.misses > 0)


if __name__ == "__main__":
    sys.exit(main())

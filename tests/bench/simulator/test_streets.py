from __future__ import annotations

from itertools import islice, pairwise
from random import Random

from bench.simulator.plans import NEIGHBOURHOODS, VILLAGE, VILLAGE_OPENS, cruising, home, task_plans
from bench.simulator.projection import Spot, apart_m, miles_between, to_degrees, to_spot
from bench.simulator.streets import (
    ARTERIAL_MPS,
    RIVER_HALF_WIDTH_M,
    Route,
    Streets,
    coast_x,
    river_y,
)

STREETS = Streets(7)


def some_routes(count: int) -> list[Route]:
    """Ways between random addresses of the city."""
    rng = Random(2)
    ends = [home(rng, STREETS) for _ in range(2 * count)]
    return [STREETS.route(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True)]


def test_the_same_seed_is_the_same_city() -> None:
    """Every crossing to the millimetre; another seed is another city."""
    assert Streets(7).crossings == STREETS.crossings
    assert Streets(8).crossings != STREETS.crossings


def test_every_neighbourhood_can_be_reached_from_every_other() -> None:
    """No bridge missing: the river and the park cut nobody off."""
    for a, b in pairwise(NEIGHBOURHOODS):
        way = STREETS.route(a.centre, b.centre)
        assert way.corners[0] == a.centre
        assert way.corners[-1] == b.centre
        assert way.duration_s >= apart_m(a.centre, b.centre) / ARTERIAL_MPS


def test_nobody_drives_faster_than_an_arterial_allows() -> None:
    """Sampled every second: with three times life this stays below 160 km/h, a suspect's speed."""
    for way in some_routes(20):
        spots = [way.at(second) for second in range(int(way.duration_s) + 2)]
        assert max(apart_m(a, b) for a, b in pairwise(spots)) <= ARTERIAL_MPS + 1e-6
    assert ARTERIAL_MPS * 3 * 3.6 < 160


def test_crossings_lie_on_dry_land() -> None:
    """Neither in the sea nor in the river."""
    for spot in STREETS.crossings:
        assert spot.x > coast_x(spot.y)
        assert abs(spot.y - river_y(spot.x)) > RIVER_HALF_WIDTH_M


def test_before_and_after_a_way_one_stands_at_its_ends() -> None:
    """Time outside of the way is clamped; a way to where one stands is none."""
    way = some_routes(1)[0]
    assert way.at(-5) == way.corners[0]
    assert way.at(way.duration_s + 5) == way.corners[-1]
    here = STREETS.crossings[10]
    assert apart_m(STREETS.route(here, here).at(0.5), here) == 0


def test_metres_become_degrees_and_come_back() -> None:
    """Within the city to better than a metre, and a mile north is a mile on Earth."""
    spot = Spot(5200.0, -3100.0)
    assert apart_m(to_spot(*to_degrees(spot)), spot) < 0.2
    mile = miles_between(to_degrees(Spot(0, 0)), to_degrees(Spot(0, 1609.344)))
    assert abs(mile - 1) < 1e-4


def test_a_village_is_out_of_reach_of_the_first_waves() -> None:
    """Nobody lives within 3 miles of it or cruises there; somebody does within the largest radius."""
    rng = Random(5)
    village = to_degrees(VILLAGE.centre)
    where = [home(rng, STREETS) for _ in range(400)]
    where += [cruising(rng, STREETS) for _ in range(400)]
    miles = sorted(miles_between(to_degrees(spot), village) for spot in where)
    assert miles[4] > 3.0, "at most a handful of 800 on the city's edge"
    assert sum(distance <= 5.0 for distance in miles) >= 10
    assert sum(distance <= 9.0 for distance in miles) >= 150


def test_one_of_the_first_tasks_comes_from_the_village() -> None:
    """Whatever the seed; and it pays for the drive."""
    for seed in range(3):
        first = list(islice(task_plans(seed, STREETS, 100.0), 200))
        assert first[VILLAGE_OPENS].neighbourhood == VILLAGE.name
        assert apart_m(first[VILLAGE_OPENS].spot, VILLAGE.centre) < 1_200
        there = [plan.price_cents for plan in first if plan.neighbourhood == VILLAGE.name]
        here = [plan.price_cents for plan in first if plan.neighbourhood != VILLAGE.name]
        assert len(there) < len(here) / 8
        assert sum(there) / len(there) > 1.3 * sum(here) / len(here)

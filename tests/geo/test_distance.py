from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.distance import at_most_m, distance_m, distances_m, eta_minutes, is_within, within
from geo.points import LatLng
from geo.units import EARTH_RADIUS_M, METRES_PER_MILE, metres, miles
from tests.geo.sphere import CITIES, PLACES, random_places, scattered

points = st.builds(LatLng, st.floats(-90, 90), st.floats(-180, 180))


def test_one_pair_and_many_give_the_same_bits() -> None:
    """A decision made on an array and repeated on a pair must not differ."""
    rng = np.random.default_rng(1)
    for origin in PLACES:
        lat, lng = scattered(rng, origin, 100, 16_093.44)
        many = distances_m(origin, lat, lng)
        for row in range(100):
            there = LatLng(lat[row], lng[row])
            assert distance_m(origin, there) == many[row]


@given(points, points)
def test_distance_is_symmetric_and_at_most_half_the_world(a: LatLng, b: LatLng) -> None:
    """Clamping keeps arcsin defined at antipodes."""
    d = distance_m(a, b)
    assert 0.0 <= d <= math.pi * EARTH_RADIUS_M * (1 + 1e-12)
    assert d == distance_m(b, a)
    assert d <= at_most_m(a, b) + 1e-3


@given(points)
def test_a_point_is_exactly_zero_from_itself_and_within_zero(a: LatLng) -> None:
    """No rounding makes a hustler at the door distant."""
    assert distance_m(a, a) == 0.0
    assert distances_m(a, np.array([a.lat]), np.array([a.lng]))[0] == 0.0
    assert is_within(a, a, 0.0)


def test_near_antipodes_stay_within_the_reach_of_arcsin() -> None:
    """For one pair in 14,000 rounding lifts even the root of the chord above 1."""
    a = LatLng(-67.57039394806384, -65.17655370182703)
    b = LatLng(67.57039394778717, 114.82344629817297)
    assert distance_m(a, b) == pytest.approx(math.pi * EARTH_RADIUS_M, abs=1.0)


def test_a_distance_equal_to_the_radius_is_inside() -> None:
    """The circle belongs to the disc, on both paths, and the next smaller radius excludes it."""
    rng = np.random.default_rng(2)
    for origin in PLACES:
        lat, lng = scattered(rng, origin, 30, 8_000)
        for row, radius_m in enumerate(distances_m(origin, lat, lng).tolist()):
            less = math.nextafter(radius_m, 0.0)
            there = LatLng(lat[row], lng[row])
            assert is_within(origin, there, radius_m)
            assert not is_within(origin, there, less)
            one = slice(row, row + 1)
            assert within(origin, lat[one], lng[one], radius_m).all()
            assert not within(origin, lat[one], lng[one], less).any()


@given(points, points, st.floats(0, 50_000))
def test_the_quick_no_of_is_within_never_errs(a: LatLng, b: LatLng, radius_m: float) -> None:
    """It must agree with the distance wherever the points are."""
    assert is_within(a, b, radius_m) == (distance_m(a, b) <= radius_m)


def test_the_antimeridian_and_the_poles_are_no_walls() -> None:
    """Two points on either side of ±180°, or across a pole, are close."""
    assert distance_m(LatLng(10, 179.999), LatLng(10, -179.999)) == pytest.approx(219.0, abs=1)
    assert distance_m(LatLng(0, 180), LatLng(0, -180)) < 1e-6
    assert at_most_m(LatLng(10, 179.999), LatLng(10, -179.999)) < 223
    assert distance_m(LatLng(89.999, 0), LatLng(89.999, 180)) == pytest.approx(222.4, abs=0.1)
    assert distance_m(LatLng(90, 0), LatLng(90, 77)) < 1e-6


def test_a_known_distance_is_right() -> None:
    """San Francisco to New York: 4,129.1 km on the sphere of the mean radius."""
    assert distance_m(CITIES[0], CITIES[1]) == pytest.approx(4_129_086, rel=1e-4)


def test_the_law_of_cosines_agrees_far_away() -> None:
    """An independent formula gives the same, where it is exact enough."""
    rng = np.random.default_rng(3)
    places = random_places(rng, 200)
    for a, b in zip(places[::2], places[1::2], strict=True):
        lat1, lat2 = math.radians(a.lat), math.radians(b.lat)
        cosine = math.sin(lat1) * math.sin(lat2)
        cosine += math.cos(lat1) * math.cos(lat2) * math.cos(math.radians(b.lng - a.lng))
        assert distance_m(a, b) == pytest.approx(EARTH_RADIUS_M * math.acos(cosine), abs=0.5)


def test_miles_and_metres_are_inverse() -> None:
    """One statute mile is 1,609.344 m."""
    assert metres(3.0) == 3 * METRES_PER_MILE
    assert miles(metres(7.25)) == 7.25


@pytest.mark.parametrize(("far_miles", "minutes"), [(0.0, 0), (0.01, 1), (2.5, 9), (10.0, 34)])
def test_eta_is_the_detour_at_city_speed_rounded_up(far_miles: float, minutes: int) -> None:
    """Miles × 1.4 at 25 mph."""
    assert eta_minutes(metres(far_miles)) == minutes

"""A local plane projection: metres east and north of downtown Marlow Bay, to and from degrees.

Marlow Bay is invented; it lies on the real coast of Oregon, sea to the west.
Within its 25 km a plane is accurate to a few metres.
"""

from __future__ import annotations

import math
from typing import NamedTuple

CENTRE_LAT = 44.95
CENTRE_LNG = -123.98
EARTH_RADIUS_M = 6_371_008.7714
METRES_PER_MILE = 1609.344
_METRES_PER_DEGREE = math.pi * EARTH_RADIUS_M / 180
_METRES_PER_DEGREE_LNG = _METRES_PER_DEGREE * math.cos(math.radians(CENTRE_LAT))


class Spot(NamedTuple):
    """A point of the plane, metres east and north of downtown."""

    x: float
    y: float


class LatLng(NamedTuple):
    """A position as the service takes it."""

    lat: float
    lng: float


def to_degrees(spot: Spot) -> LatLng:
    """Returns the position of a spot in degrees, rounded to 11 cm."""
    return LatLng(
        round(CENTRE_LAT + spot.y / _METRES_PER_DEGREE, 6),
        round(CENTRE_LNG + spot.x / _METRES_PER_DEGREE_LNG, 6),
    )


def to_spot(lat: float, lng: float) -> Spot:
    """Returns the spot of a position: the inverse of `to_degrees`."""
    return Spot(
        (lng - CENTRE_LNG) * _METRES_PER_DEGREE_LNG, (lat - CENTRE_LAT) * _METRES_PER_DEGREE
    )


def apart_m(a: Spot, b: Spot) -> float:
    """Returns the straight distance between two spots in metres."""
    return math.hypot(a.x - b.x, a.y - b.y)


def miles_between(a: LatLng, b: LatLng) -> float:
    """Returns the great-circle distance in miles between any two positions."""
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    half = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin(math.radians(b.lng - a.lng) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(half)) / METRES_PER_MILE

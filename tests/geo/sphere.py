"""Places to try the geometry at, and points at a given distance from them."""

from __future__ import annotations

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

from geo.points import LatLng
from geo.units import EARTH_RADIUS_M

Floats = NDArray[np.float64]

# Where covers go wrong elsewhere: the twelve pentagons (cells of five neighbours, distorted around),
# the poles, the antimeridian; and where the product works.
PENTAGONS = [LatLng(*h3.cell_to_latlng(cell)) for cell in h3.get_pentagons(7)]
EDGES = [LatLng(90, 0), LatLng(-90, 0), LatLng(0, 180), LatLng(52, -180), LatLng(-17, 179.95)]
CITIES = [LatLng(37.7749, -122.4194), LatLng(40.7128, -74.006), LatLng(25.7617, -80.1918)]
PLACES = PENTAGONS + EDGES + CITIES


def random_places(rng: np.random.Generator, count: int) -> list[LatLng]:
    """Places drawn evenly from the whole sphere."""
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    lng = rng.uniform(-180, 180, count)
    return [LatLng(*pair) for pair in zip(lat.tolist(), lng.tolist(), strict=True)]


def reached(origin: LatLng, bearing: Floats, metres: Floats) -> tuple[Floats, Floats]:
    """The points that lie so many metres from `origin` at these bearings (radians), in degrees."""
    lat, lng, arc = np.radians(origin.lat), np.radians(origin.lng), metres / EARTH_RADIUS_M
    sin_lat = np.sin(lat) * np.cos(arc) + np.cos(lat) * np.sin(arc) * np.cos(bearing)
    lat2 = np.arcsin(np.clip(sin_lat, -1, 1))
    lng2 = lng + np.arctan2(
        np.sin(bearing) * np.sin(arc) * np.cos(lat), np.cos(arc) - np.sin(lat) * np.sin(lat2)
    )
    return np.degrees(lat2), (np.degrees(lng2) + 540) % 360 - 180


def scattered(
    rng: np.random.Generator, origin: LatLng, count: int, radius_m: float
) -> tuple[Floats, Floats]:
    """Points spread evenly over a disc, a third of them within 1 % of its rim."""
    metres = radius_m * np.sqrt(rng.uniform(0, 1, count))
    metres[: count // 3] = radius_m * rng.uniform(0.99, 1.01, count // 3)
    return reached(origin, rng.uniform(0, 2 * np.pi, count), metres)

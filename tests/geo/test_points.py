from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

from geo import cells, distance, points
from geo.points import BadPoint, LatLng


@pytest.mark.parametrize(
    ("lat", "lng"),
    [
        (math.nan, 0.0),
        (0.0, math.nan),
        (math.inf, 0.0),
        (0.0, -math.inf),
        (90.000001, 0.0),
        (-91.0, 0.0),
        (0.0, 180.000001),
        (0.0, 540.0),
        (-122.4194, 37.7749),
    ],
)
def test_a_point_that_is_no_place_is_refused(lat: float, lng: float) -> None:
    """H3 takes latitude 91 and longitude 540 silently, so they must not get that far."""
    with pytest.raises(BadPoint):
        LatLng(lat, lng)


@pytest.mark.parametrize(("lat", "lng"), [(90, 180), (-90, -180), (0, 0)])
def test_the_rim_of_the_world_is_a_place(lat: float, lng: float) -> None:
    """Poles and antimeridian are valid, and (0, 0) is refused only as a fix."""
    assert LatLng(lat, lng) == LatLng(float(lat), float(lng))


def test_numpy_scalars_become_floats() -> None:
    """They would reach Redis as "np.float64(…)"."""
    point = LatLng(np.float64(1.5), np.float32(2.5))  # type: ignore[arg-type]
    assert type(point.lat) is float
    assert type(point.lng) is float


@pytest.mark.parametrize("module", [cells, distance, points])
def test_examples_in_docstrings_are_true(module: object) -> None:
    """Every `>>>` yields what it shows."""
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]

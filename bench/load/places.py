"""Where people and tasks are: all over an invented city, or most of them at one corner."""

from __future__ import annotations

import math
from random import Random
from typing import Final

from bench.simulator.projection import Spot, to_degrees

SPREAD_M: Final = 4_000.0
"""Radius of where all live: within the 3 miles of a first wave from its centre."""
CORNER_M: Final = 300.0
CORNER: Final = Spot(1_500.0, -800.0)


def place(draw: Random, hot_share: float) -> tuple[float, float]:
    """Returns a place in degrees; `hot_share` of all places are within 300 m of one corner."""
    hot = draw.random() < hot_share
    centre, reach_m = (CORNER, CORNER_M) if hot else (Spot(0.0, 0.0), SPREAD_M)
    angle, distance_m = draw.uniform(0, 2 * math.pi), reach_m * math.sqrt(draw.random())
    at = Spot(centre.x + distance_m * math.cos(angle), centre.y + distance_m * math.sin(angle))
    return to_degrees(at)

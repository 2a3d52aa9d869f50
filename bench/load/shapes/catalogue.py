"""The shapes by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.load.shapes import hot_district, morning_ramp, storm_after_outage
from bench.load.shapes.shape import Shape

SHAPES: Final[Mapping[str, Shape]] = {
    "morning": Shape("everybody comes, one after the other", morning_ramp.users_at),
    "storm": Shape("everybody is cut off and comes back at once", storm_after_outage.users_at),
    "hot": Shape(
        "four of five hustlers and tasks are at one corner",
        hot_district.users_at,
        hot_district.HOT_SHARE,
    ),
}

"""The product's numbers that Python needs too, read from `sql/schema/policy.sql`.

Asking early spares the database work; it judges by the same numbers.
"""

from __future__ import annotations

from typing import Final

from sql.policy import numbers


def _integer(name: str) -> int:
    return int(numbers()[name].value)


TASK_PRICE_MIN_CENTS: Final = _integer("task_price_min_cents")
LIVE_PRICE_MIN_CENTS: Final = _integer("live_price_min_cents")
TASK_TITLE_CHARS_MAX: Final = _integer("task_title_chars_max")
REASON_CHARS_MAX: Final = _integer("reason_chars_max")
PHOTOS_MAX: Final = _integer("photos_max")
PHOTO_BYTES_MAX: Final = _integer("photo_bytes_max")
UNUSED_PHOTOS_MAX: Final = _integer("unused_photos_max")
ARRIVAL_RADIUS_M: Final = float(numbers()["arrival_radius_m"].value)
RADIUS_MILES_MIN: Final = _integer("radius_miles_min")
RADIUS_MILES_MAX: Final = _integer("radius_miles_max")
MARKET_TASKS_MIN: Final = _integer("market_tasks_min")

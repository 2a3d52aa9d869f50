"""Where and when a camera says a photo was taken.

EXIF is what a stranger wrote: every value may be missing, of another type or absurd, and then it
counts as not told. The mappings are tag number → value, as they come from a decoder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, SupportsFloat

# Tag numbers of the EXIF 2.32 and TIFF 6.0 standards.
ORIENTATION: Final = 0x0112
DATE_TIME_ORIGINAL: Final = 0x9003
OFFSET_TIME_ORIGINAL: Final = 0x9011
GPS_LATITUDE_REF: Final = 1
GPS_LATITUDE: Final = 2
GPS_LONGITUDE_REF: Final = 3
GPS_LONGITUDE: Final = 4

FIRST_YEAR: Final = 1990
"""A camera that says less has never been told the date."""

Tags = Mapping[int, object]


class Gps(NamedTuple):
    """A position in degrees; finite, in range, and not (0, 0), where devices without one are."""

    lat: float
    lng: float


def position(gps: Tags) -> Gps | None:
    """The position in a GPS directory; None unless both coordinates make sense.

    >>> position({1: "N", 2: (37, 46, 30), 3: "W", 4: (122, 25, 12)})
    Gps(lat=37.775, lng=-122.42)
    """
    lat = _degrees(gps.get(GPS_LATITUDE), gps.get(GPS_LATITUDE_REF), "N", "S", 90)
    lng = _degrees(gps.get(GPS_LONGITUDE), gps.get(GPS_LONGITUDE_REF), "E", "W", 180)
    if lat is None or lng is None or (lat == 0 and lng == 0):
        return None
    return Gps(lat, lng)


def captured_at(photo: Tags) -> datetime | None:
    """The moment of capture in UTC, from DateTimeOriginal and OffsetTimeOriginal.

    Without an offset the clock's time zone is unknown, and a guess could be wrong by a day:
    the moment is then None, as if no time were told.

    >>> captured_at({0x9003: "2026:05:04 18:30:00", 0x9011: "-07:00"})
    datetime.datetime(2026, 5, 5, 1, 30, tzinfo=datetime.timezone.utc)
    """
    clock, offset = _text(photo.get(DATE_TIME_ORIGINAL)), _text(photo.get(OFFSET_TIME_ORIGINAL))
    try:
        at = datetime.strptime(f"{clock} {offset}", "%Y:%m:%d %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if at.year >= FIRST_YEAR else None


def orientation(tags: Tags) -> int:
    """How the pixels are to be turned, 1 to 8 as TIFF counts; 1 (as they are) for anything else."""
    value = tags.get(ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _degrees(
    value: object, ref: object, positive: str, negative: str, limit: float
) -> float | None:
    """Degrees, minutes and seconds with their hemisphere as one signed number."""
    hemisphere = _text(ref).upper()
    if hemisphere not in (positive, negative) or not isinstance(value, tuple) or len(value) != 3:
        return None
    if not all(isinstance(part, SupportsFloat) for part in value):
        return None
    try:
        degrees, minutes, seconds = map(float, value)
    except (ArithmeticError, TypeError, ValueError):
        # a rational over zero, or one that no float holds
        return None
    sum_degrees = degrees + minutes / 60 + seconds / 3600
    if not (math.isfinite(sum_degrees) and min(degrees, minutes, seconds) >= 0):
        return None
    if sum_degrees > limit:
        return None
    return sum_degrees if hemisphere == positive else -sum_degrees


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip("\x00 ") if isinstance(value, str) else ""

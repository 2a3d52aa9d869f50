"""Parses position, time and orientation of a photo from its EXIF block.

EXIF is untrusted input: every value may be missing, of another type or absurd, and then it counts
as absent. Only the tags that are needed are read, and only values of the size they have: no block
of EXIF makes this slow or large.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, SupportsFloat

# Tag numbers of the EXIF 2.32 and TIFF 6.0 standards.
ORIENTATION: Final = 0x0112
PHOTO_DIRECTORY: Final = 0x8769
GPS_DIRECTORY: Final = 0x8825
DATE_TIME_ORIGINAL: Final = 0x9003
OFFSET_TIME_ORIGINAL: Final = 0x9011
GPS_LATITUDE_REF: Final = 1
GPS_LATITUDE: Final = 2
GPS_LONGITUDE_REF: Final = 3
GPS_LONGITUDE: Final = 4

FIRST_YEAR: Final = 1990
"""A camera that says less has never been told the date."""
MAX_ENTRIES: Final = 1_000
"""Entries of one directory that are looked at."""
MAX_VALUE_BYTES: Final = 64
"""A larger value is none of those that are needed."""

# TIFF types: bytes of one item, and how struct calls it.
_TYPES: Final = {2: (1, "s"), 3: (2, "H"), 4: (4, "I"), 5: (8, "II"), 7: (1, "s"), 10: (8, "ii")}

Tags = Mapping[int, object]


class Gps(NamedTuple):
    """A position in degrees; finite, in range, and not (0, 0), where devices without one are."""

    lat: float
    lng: float


class PhotoMetadata(NamedTuple):
    """The position, time and orientation in an EXIF block."""

    orientation: int = 1
    gps: Gps | None = None
    captured_at: datetime | None = None


def read(block: bytes) -> PhotoMetadata:
    """Returns the metadata of an EXIF block (a TIFF file without pixels); empty for an empty."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(block[:4])
    if order is None:
        return PhotoMetadata()
    main = _directory(block, order, _number(block, order, 4))
    photo = _directory(block, order, main.get(PHOTO_DIRECTORY))
    gps = _directory(block, order, main.get(GPS_DIRECTORY))
    return PhotoMetadata(orientation(main), position(gps), captured_at(photo))


def position(gps: Tags) -> Gps | None:
    """Returns the position in a GPS directory; None unless both coordinates make sense.

    >>> position({1: "N", 2: (37, 46, 30), 3: "W", 4: (122, 25, 12)})
    Gps(lat=37.775, lng=-122.42)
    """
    lat = _degrees(gps.get(GPS_LATITUDE), gps.get(GPS_LATITUDE_REF), "N", "S", 90)
    lng = _degrees(gps.get(GPS_LONGITUDE), gps.get(GPS_LONGITUDE_REF), "E", "W", 180)
    if lat is None or lng is None or (lat == 0 and lng == 0):
        return None
    return Gps(lat, lng)


def captured_at(photo: Tags) -> datetime | None:
    """Returns the time of capture in UTC, from DateTimeOriginal and OffsetTimeOriginal.

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
    """Returns how the pixels are to be turned, 1 to 8 as TIFF counts; 1 for anything else."""
    value = tags.get(ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _directory(block: bytes, order: str, offset: object) -> Tags:
    """The entries of a directory that stand whole in the block; values as their types say."""
    found: dict[int, object] = {}
    if not isinstance(offset, int) or offset + 2 > len(block):
        return found
    (count,) = struct.unpack_from(f"{order}H", block, offset)
    for start in range(offset + 2, offset + 2 + 12 * min(count, MAX_ENTRIES), 12):
        if start + 12 > len(block):
            break
        tag, kind, items = struct.unpack_from(f"{order}HHI", block, start)
        item_bytes, letters = _TYPES.get(kind, (0, ""))
        size = item_bytes * items
        place = start + 8 if size <= 4 else _number(block, order, start + 8)
        if 0 < size <= MAX_VALUE_BYTES and place is not None and place + size <= len(block):
            found[tag] = _value(block[place : place + size], order, letters)
    return found


def _value(data: bytes, order: str, letters: str) -> object:
    """Text as bytes, one number as it is, rationals as floats (over zero: not a number)."""
    if letters == "s":
        return data
    numbers = struct.unpack(order + letters * (len(data) // struct.calcsize("=" + letters)), data)
    if len(letters) == 2:
        return tuple(
            above / below if below else math.nan
            for above, below in zip(numbers[::2], numbers[1::2], strict=True)
        )
    return numbers[0] if len(numbers) == 1 else numbers


def _number(block: bytes, order: str, place: int) -> int | None:
    """The 32-bit number at a place; None outside of the block."""
    if place + 4 > len(block):
        return None
    number: int = struct.unpack_from(f"{order}I", block, place)[0]
    return number


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

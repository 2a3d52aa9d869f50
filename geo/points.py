"""A point on the sphere, validated once, at the edge of the system."""

from __future__ import annotations

from dataclasses import dataclass


class BadPoint(ValueError):
    """Raised for coordinates that are no point: not finite, or outside ±90 / ±180 degrees."""


@dataclass(frozen=True, slots=True)
class LatLng:
    """Degrees, latitude first, as H3 and our API have it; GeoJSON and Redis GEO swap the two.

    H3 itself takes latitude 91 and longitude 540 silently, so nothing gets there but by this type.
    Numbers of any kind (numpy scalars too) become Python floats. Raises `BadPoint`.

    >>> LatLng(37.7749, -122.4194).lat
    37.7749
    """

    lat: float
    lng: float

    def __post_init__(self) -> None:
        lat, lng = float(self.lat), float(self.lng)
        # A comparison with NaN is false, so this one test refuses NaN and infinity as well.
        if not (-90.0 <= lat <= 90.0 and -180.0 <= lng <= 180.0):
            raise BadPoint(f"latitude {lat}, longitude {lng}: not a place")
        if type(self.lat) is not float or type(self.lng) is not float:
            object.__setattr__(self, "lat", lat)
            object.__setattr__(self, "lng", lng)

"""The hustlers present near the running broadcasts at one instant, as columns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from broadcast.evaluation_cache import Ids
from geo.distance import distances_m
from geo.points import LatLng
from geo.presence.present_hustlers import PresentHustlers
from geo.units import EARTH_RADIUS_M

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_SLACK = 1e-12
"""On the cosine: some millimetres at 3 miles, far above float64's error."""


class PresenceSnapshot:
    """The records of one read of presence, one row for each hustler."""

    def __init__(self, present_hustlers: PresentHustlers) -> None:
        self.ids: Ids = np.ascontiguousarray(present_hustlers.hustler).view("S16").reshape(-1)
        self.generations = np.asarray(present_hustlers.generation, np.int64)
        self._raw = self.ids.tobytes()
        self._lat, self._lng = present_hustlers.lat, present_hustlers.lng
        self._unit = _unit_vectors(np.radians(self._lat), np.radians(self._lng))

    def inside(self, exact: LatLng, radius_m: float) -> tuple[Rows, Floats]:
        """Returns the rows within a radius of an exact place, rim included, and their metres.

        A dot product with slack discards most rows; the exact distance decides on the rest.
        """
        centre = _unit_vectors(np.radians([exact.lat]), np.radians([exact.lng]))[0]
        near = np.flatnonzero(self._unit @ centre >= math.cos(radius_m / EARTH_RADIUS_M) - _SLACK)
        metres = self.metres_from(exact, near)
        kept = metres <= radius_m
        return near[kept], metres[kept]

    def metres_from(self, point: LatLng, rows: Rows) -> Floats:
        """Returns exact metres from a point to each row."""
        return distances_m(point, self._lat[rows], self._lng[rows])

    def hustler(self, row: int) -> UUID:
        """Returns the hustler of one row; numpy would drop an id's trailing zero bytes."""
        return UUID(bytes=self._raw[16 * row : 16 * row + 16])


def _unit_vectors(lat: Floats, lng: Floats) -> Floats:
    level = np.cos(lat)
    return np.stack((level * np.cos(lng), level * np.sin(lng), np.sin(lat)), axis=1)


@dataclass(slots=True)
class Pairs:
    """New pairs of one round: parallel columns of broadcast number, row, and two distances."""

    broadcast: NDArray[np.int64]
    row: Rows
    exact_miles: Floats
    place_miles: Floats

    def take(self, rows: NDArray[np.intp]) -> Pairs:
        """Returns the given rows, in this order."""
        return Pairs(
            self.broadcast[rows], self.row[rows], self.exact_miles[rows], self.place_miles[rows]
        )

    @classmethod
    def joined(cls, parts: list[Pairs]) -> Pairs:
        """Returns several rounds' columns as one."""
        return cls(
            np.concatenate([part.broadcast for part in parts]),
            np.concatenate([part.row for part in parts]),
            np.concatenate([part.exact_miles for part in parts]),
            np.concatenate([part.place_miles for part in parts]),
        )

"""Which hustlers of this process could be offered something right now, and where."""

from __future__ import annotations

from typing import Final

from bench.simulator.projection import LatLng, miles_between

NEAR_MILES: Final = 2.9
"""Within the first wave's 3 miles, with room for a position on its way."""
ENOUGH: Final = 3
"""So many are near, that one whose accept or pause is on its way decides nothing."""


class FreeHustlers:
    """Hustlers who are connected, ACTIVE and without a task, by any key of theirs."""

    def __init__(self) -> None:
        self._at: dict[int, LatLng] = {}

    def set(self, key: int, at: LatLng | None) -> None:
        """Notes where a hustler is free, or with None that it is not."""
        if at is None:
            self._at.pop(key, None)
        else:
            self._at[key] = at

    def are_near(self, at: LatLng) -> bool:
        """Returns whether enough of them are within a first wave's reach."""
        near = (miles_between(at, each) <= NEAR_MILES for each in list(self._at.values()))
        return sum(near) >= ENOUGH

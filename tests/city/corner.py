"""A crowd for tests: a few hustlers around one corner of Marlow Bay, and tasks at their doors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random

from bench.city.city import City
from bench.city.ground import Spot, to_degrees
from bench.city.hustler import Habits
from bench.city.movement import Car
from bench.city.pace import Pace
from bench.city.plans import ERRANDS
from bench.city.poster import Wish
from bench.city.streets import Streets

OFTEN_AWAY = Habits(pause_every_s=None, outage_every_s=2.0, shift_s=None)


class Corner:
    """Everybody within 400 m; connections break every two seconds."""

    name = "a corner"

    def __init__(self, hustlers: int, tasks: int, pace: Pace) -> None:
        self._hustlers = hustlers
        self._tasks = tasks
        self._pace = pace
        self._streets = Streets(7)
        self._rng = Random(1)

    def _spot(self) -> Spot:
        return Spot(self._rng.uniform(-200, 200), 800 + self._rng.uniform(-200, 200))

    async def staff(self, city: City) -> None:
        """All at once, for good."""
        for number in range(self._hustlers):
            car = Car(self._streets, self._spot(), self._pace, Random(number), every_s=0.5)
            await city.hire(number, to_degrees(self._spot()), car, OFTEN_AWAY)
        await asyncio.Event().wait()

    def wishes(self) -> Iterator[tuple[float, Wish]]:
        """One after the other, well paid."""
        for number in range(self._tasks):
            errand = ERRANDS[number % len(ERRANDS)]
            at = to_degrees(self._spot())
            yield 10.0, Wish(number, errand.title, errand.category, 9_000, "the corner", at)

"""A crowd for tests: a few hustlers on foot around one crossing, and tasks at their feet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random

from bench.simulator.city import City
from bench.simulator.hustler import Habits
from bench.simulator.movement import Send
from bench.simulator.plans import TASK_KINDS
from bench.simulator.poster import Wish
from bench.simulator.projection import LatLng, Spot, to_degrees

OFTEN_AWAY = Habits(pause_every_s=None, outage_every_s=2.0, shift_s=None)
HALF_WIDTH_M = 20.0
WALK_S = 1.5
"""At most 57 m in 1.5 s stays below the speed of a suspect."""


class Walker:
    """Stands still, and is at any task of the city within two seconds."""

    def __init__(self, home: LatLng) -> None:
        self._here = home

    def where(self) -> LatLng:
        """The position right now."""
        return self._here

    def seen_at(self) -> None:
        """Now."""

    async def report(self, send: Send) -> None:
        """Twice a second, for ever."""
        while True:
            await send(self._here, None)
            await asyncio.sleep(0.5)

    async def go_to(self, goal: LatLng) -> None:
        """Walk there."""
        await asyncio.sleep(WALK_S)
        self._here = goal

    def roam(self) -> None:
        """Stay."""


class SmallCity:
    """Everybody within a hundred metres; connections break every two seconds."""

    name = "a small city"

    def __init__(self, hustlers: int, tasks: int, if_nobody: str = "CANCEL") -> None:
        self.hustlers = hustlers
        self._tasks = tasks
        self._if_nobody = if_nobody
        self._rng = Random(1)

    def _place(self) -> LatLng:
        def offset() -> float:
            return self._rng.uniform(-HALF_WIDTH_M, HALF_WIDTH_M)

        return to_degrees(Spot(offset(), offset()))

    async def staff(self, city: City) -> None:
        """All at once, for good."""
        for number in range(self.hustlers):
            home = self._place()
            await city.hire(number, home, Walker(home), OFTEN_AWAY)
        await asyncio.Event().wait()

    def wishes(self) -> Iterator[tuple[float, Wish]]:
        """One after the other, well paid."""
        for number in range(self._tasks):
            task_kind = TASK_KINDS[number % len(TASK_KINDS)]
            wish = Wish(
                number,
                task_kind.title,
                task_kind.category,
                9_000,
                "the small city",
                self._place(),
                if_nobody=self._if_nobody,
            )
            yield 10.0, wish

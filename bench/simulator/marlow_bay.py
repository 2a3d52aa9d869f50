"""The crowd of Marlow Bay: N hustlers on duty, replaced when they rest or end their shift."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Final

from bench.simulator import plans
from bench.simulator.city import City
from bench.simulator.hustler import Habits
from bench.simulator.movement import Car
from bench.simulator.plans import TaskPlan
from bench.simulator.poster import Wish
from bench.simulator.projection import to_degrees
from bench.simulator.streets import Streets
from bench.simulator.time_scale import TimeScale

TASKS_PER_HUSTLER_HOUR: Final = 0.6
"""In life; low enough that the two accepts of a LIVE session last."""
OPENING_TASKS: Final = 3
"""The first tasks come at once, so that a visitor sees something."""
RELIEF: Final = 4
"""So many hustlers for each place on the streets are hired in all: rests last minutes for real."""
PAUSE_EVERY_S: Final = 14_400.0
OUTAGE_EVERY_S: Final = 4_800.0
SHIFT_S: Final = (3_600.0, 14_400.0)
"""In life: mean time between coffee pauses and between lost connections; length of a shift."""
REPORT_EVERY_S: Final = 2.0
REPORTS_PER_S: Final = 150
"""All hustlers together; beyond 300 of them each reports less often."""


class MarlowBay:
    """A crowd generated from a seed; the same seed gives the same people and tasks."""

    name = "Marlow Bay"

    def __init__(self, hustlers: int, seed: int, time_scale: TimeScale) -> None:
        self._hustlers = hustlers
        self._seed = seed
        self._time_scale = time_scale
        self._every_s = max(REPORT_EVERY_S, hustlers / REPORTS_PER_S)
        self.streets = Streets(seed)

    async def staff(self, city: City) -> None:
        """Keeps N hustlers on duty while replacements last; never returns."""
        number = 0
        while True:
            starting = sum(hustler.starting for hustler in city.people)
            missing = min(
                self._hustlers - city.on_duty - starting, self._hustlers * RELIEF - number
            )
            async with asyncio.TaskGroup() as hiring:
                for _ in range(missing):
                    hiring.create_task(self._send(city, number))
                    number += 1
            await asyncio.sleep(1)

    async def _send(self, city: City, number: int) -> None:
        draw = Random(f"home {self._seed} {number}")
        home = plans.home(draw, self.streets)
        car = Car(self.streets, home, self._time_scale, draw, self._every_s)
        habits = Habits(
            pause_every_s=PAUSE_EVERY_S / self._time_scale.speed,
            outage_every_s=OUTAGE_EVERY_S / self._time_scale.speed,
            shift_s=draw.uniform(*SHIFT_S) / self._time_scale.speed,
        )
        await city.hire(number, to_degrees(home), car, habits)

    def wishes(self) -> Iterator[tuple[float, Wish]]:
        """Yields tasks to post as Poisson arrivals, the opening ones at once."""
        rate = TASKS_PER_HUSTLER_HOUR * self._hustlers
        for plan in plans.task_plans(self._seed, self.streets, rate):
            yield (0.0 if plan.number < OPENING_TASKS else plan.wait_s), wish_of(plan)


def wish_of(plan: TaskPlan) -> Wish:
    """Returns a plan as the poster's wish."""
    return Wish(
        number=plan.number,
        title=plan.task_kind.title,
        category=plan.task_kind.category,
        price_cents=plan.price_cents,
        place=f"{plan.neighbourhood}, Marlow Bay",
        at=to_degrees(plan.spot),
        patience_s=plan.patience_s,
        if_nobody=plan.if_nobody,
    )

"""Movement of hustlers: the interface of a mover, and a car on the streets of Marlow Bay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from random import Random
from typing import Protocol

from bench.simulator import plans
from bench.simulator.projection import LatLng, Spot, to_degrees, to_spot
from bench.simulator.streets import Route, Streets
from bench.simulator.time_scale import TimeScale, human_s

WAIT_MEDIAN_S = 45.0
"""Seconds of life a hustler without a task stands at a corner before cruising on."""
CRUISE_M = 1_300.0


Send = Callable[[LatLng, datetime | None], Awaitable[bool]]
"""Sends a position and the device's time of it (None: now); whether it left the device."""


class Mover(Protocol):
    """Moves a hustler and reports its position."""

    def where(self) -> LatLng:
        """Returns the position right now."""
        ...

    def seen_at(self) -> datetime | None:
        """Returns the device's time of that position; None is now."""
        ...

    async def report(self, send: Send) -> None:
        """Sends positions until the way has no more of them (recordings end, cars do not)."""
        ...

    async def go_to(self, goal: LatLng) -> None:
        """Returns when the hustler stands at `goal`."""
        ...

    def roam(self) -> None:
        """Returns to waiting and cruising after a task."""
        ...


class Car:
    """A mover that cruises near home and drives to tasks, always on streets."""

    def __init__(
        self, streets: Streets, home: Spot, time_scale: TimeScale, rng: Random, every_s: float
    ) -> None:
        self._streets = streets
        self._home = home
        self._time_scale = time_scale
        self._rng = rng
        self._every_s = every_s
        self._left_at = time.monotonic()
        self._route = Route((home, home), (0.0, 1.0))
        self._on_task = False

    def where(self) -> LatLng:
        """Returns the position right now."""
        return to_degrees(self._spot())

    def seen_at(self) -> None:
        """Returns None: a car's position is always current."""

    def _spot(self) -> Spot:
        return self._route.at((time.monotonic() - self._left_at) * self._time_scale.driving)

    async def report(self, send: Send) -> None:
        """Sends the position every few seconds; in between, decides where to cruise."""
        await asyncio.sleep(self._rng.uniform(0, self._every_s))
        cruise_at = time.monotonic() + self._rng.uniform(0, 20) / self._time_scale.speed
        while True:
            if not self._on_task and time.monotonic() > cruise_at:
                self._set_out(self._next_corner())
                rest_s = human_s(self._rng, WAIT_MEDIAN_S) / self._time_scale.speed
                cruise_at = time.monotonic() + self._drive_s() + rest_s
            await send(self.where(), None)
            await asyncio.sleep(self._every_s)

    async def go_to(self, goal: LatLng) -> None:
        """Drives to `goal` along streets; returns on arrival."""
        self._on_task = True
        self._set_out(to_spot(*goal))
        await asyncio.sleep(self._drive_s())

    def roam(self) -> None:
        """Returns to cruising."""
        self._on_task = False

    def _next_corner(self) -> Spot:
        if self._rng.random() < 0.25:
            return plans.cruising(self._rng, self._streets)
        here = self._spot()
        drift = 0.35
        aim = Spot(
            here.x + (self._home.x - here.x) * drift + self._rng.gauss(0, CRUISE_M),
            here.y + (self._home.y - here.y) * drift + self._rng.gauss(0, CRUISE_M),
        )
        return self._streets.nearest(aim)

    def _set_out(self, goal: Spot) -> None:
        self._route = self._streets.route(self._spot(), goal)
        self._left_at = time.monotonic()

    def _drive_s(self) -> float:
        return self._route.duration_s / self._time_scale.driving

"""Hustlers driven by recorded traces: every fix is sent when and as the device took it.

A recording cannot be steered. So a replayed hustler keeps to its recorded road after an accept, and
asks for the start code after the time the drive would have taken (crow-fly x 1.4 at 25 mph).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from bench.simulator.city import City
from bench.simulator.hustler import Habits
from bench.simulator.marlow_bay import OPENING_TASKS, TASKS_PER_HUSTLER_HOUR
from bench.simulator.movement import Send
from bench.simulator.plans import TASK_KINDS
from bench.simulator.poster import Wish
from bench.simulator.projection import LatLng, miles_between
from bench.simulator.run_log import RunLog
from bench.simulator.time_scale import TimeScale
from bench.simulator.traces import CabDay, Fix, Recording
from engine.kernel import policy

ROAD_FACTOR = 1.4
ROAD_MPH = 25.0
HABITS = Habits(pause_every_s=None, outage_every_s=120.0, shift_s=None)
"""A recording has its own pauses; connections break every two minutes of the run."""
NEAR_DEGREES = 0.002
AHEAD_S = 900
"""A task is posted within so many seconds ahead of where some cab will pass."""


@dataclass(slots=True)
class TraceClock:
    """Trace time, seconds of the day from `start_s` to `end_s`, `speed` times as fast as life.

    Devices stamp their fixes with the recording's own seconds between them, the last of the window
    at the moment the run ends: so speeds are those really driven, and no stamp lies in the future.
    """

    start_s: float
    end_s: float
    speed: float
    _began_at: float = 0.0
    _ends_at: float = 0.0

    def start(self) -> None:
        """Starts trace time now."""
        self._began_at = time.monotonic()
        self._ends_at = time.time() + (self.end_s - self.start_s) / self.speed

    def due_at(self, second: float) -> float:
        """Returns the monotonic time at which a second of the trace is played."""
        return self._began_at + (second - self.start_s) / self.speed

    def stamp(self, second: float) -> datetime:
        """Returns the device's time stamp for a second of the trace."""
        return datetime.fromtimestamp(self._ends_at - (self.end_s - second), UTC)


class TraceDrive:
    """A mover that plays one cab-day."""

    def __init__(
        self, fixes: tuple[Fix, ...], clock: TraceClock, time_scale: TimeScale, run_log: RunLog
    ) -> None:
        self._fixes = fixes
        self._clock = clock
        self._time_scale = time_scale
        self._run_log = run_log
        self._last = fixes[0]

    def where(self) -> LatLng:
        """Returns the last recorded position that was played."""
        return LatLng(self._last.lat, self._last.lng)

    def seen_at(self) -> datetime:
        """Returns when the device recorded it."""
        return self._clock.stamp(self._last.second)

    async def report(self, send: Send) -> None:
        """Sends every fix when it is due; fixes due while away or off are lost."""
        for fix in self._fixes:
            await asyncio.sleep(self._clock.due_at(fix.second) - time.monotonic())
            self._last = fix
            sent = await send(self.where(), self.seen_at())
            self._run_log.counts["fix" if sent else "fix_lost"] += 1

    async def go_to(self, goal: LatLng) -> None:
        """Returns after the time the drive would usually take."""
        hours = miles_between(self.where(), goal) * ROAD_FACTOR / ROAD_MPH
        await self._time_scale.people(hours * 3600)

    def roam(self) -> None:
        """Does nothing: a recording cannot be steered."""


class Replay:
    """Recorded cab-days as a crowd; each begins at its first fix inside the played window."""

    name = "recorded traces"

    def __init__(
        self,
        recording: Recording,
        clock: TraceClock,
        time_scale: TimeScale,
        run_log: RunLog,
        seed: int,
    ) -> None:
        self._clock = clock
        self._time_scale = time_scale
        self._run_log = run_log
        self._seed = seed
        self._ways = [way for day in recording.days if (way := self._inside(day))]

    @property
    def hustlers(self) -> int:
        """Returns how many cab-days have at least two fixes inside the window."""
        return len(self._ways)

    def _inside(self, day: CabDay) -> tuple[Fix, ...]:
        clock = self._clock
        inside = tuple(fix for fix in day.fixes if clock.start_s <= fix.second < clock.end_s)
        return inside if len(inside) > 1 else ()

    async def staff(self, city: City) -> None:
        """Hires each cab-day when its first fix is due; returns when all shifts have ended."""
        self._clock.start()
        async with asyncio.TaskGroup() as group:
            for number, way in enumerate(self._ways):
                group.create_task(self._send(city, number, way))

    async def _send(self, city: City, number: int, way: tuple[Fix, ...]) -> None:
        await asyncio.sleep(self._clock.due_at(way[0].second) - time.monotonic())
        drive = TraceDrive(way, self._clock, self._time_scale, self._run_log)
        await (await city.hire(number, drive.where(), drive, HABITS))

    def wishes(self) -> Iterator[tuple[float, Wish]]:
        """Yields tasks to post: Poisson arrivals, each where some cab will soon pass."""
        rng = Random(f"wishes {self._seed}")
        per_hour = TASKS_PER_HUSTLER_HOUR * self.hustlers
        second = self._clock.start_s
        for number in itertools.count():
            wait_s = 0.0 if number < OPENING_TASKS else rng.expovariate(per_hour / 3600)
            second += wait_s
            passing = [
                fix for way in self._ways for fix in way if second <= fix.second < second + AHEAD_S
            ]
            if not passing:
                return
            yield wait_s, _wish(number, rng.choice(passing), rng)


def _wish(number: int, near: Fix, rng: Random) -> Wish:
    task_kind = rng.choice(TASK_KINDS)
    price = task_kind.usual_cents * rng.lognormvariate(0.0, 0.3)
    lat, lng = near.lat + rng.gauss(0, NEAR_DEGREES), near.lng + rng.gauss(0, NEAR_DEGREES)
    return Wish(
        number=number,
        title=task_kind.title,
        category=task_kind.category,
        price_cents=max(policy.LIVE_PRICE_MIN_CENTS, 50 * int(price / 50)),
        place="near a recorded road",
        at=LatLng(round(lat, 6), round(lng, 6)),
    )

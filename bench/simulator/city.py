"""The run of a simulation: hires people, posts tasks, closes every session at the end.

Hustlers and wishes come from a `Crowd`: Marlow Bay or recorded traces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

import httpx

from bench.simulator import plans
from bench.simulator.code_exchange import CodeExchange
from bench.simulator.hustler import Habits, Hustler, Person
from bench.simulator.movement import Mover
from bench.simulator.people import Mint, enrol
from bench.simulator.poster import Poster, Wish
from bench.simulator.projection import LatLng, miles_between
from bench.simulator.run_log import RunLog
from bench.simulator.time_scale import TimeScale
from hustlexp_client import Api, Session

FIRST_RADIUS_MILES: Final = 3.0
HIRES_AT_ONCE: Final = 16
POSTER_NUMBERS_FROM: Final = 1_000_000
STAFFED_SHARE: Final = 0.8
STAFFED_WITHIN_S: Final = 20.0
"""Tasks begin to arrive once most hustlers are live, or after this long anyhow."""
CONNECTIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Setting:
    """The settings of a run: service, crowd, speed and duration (None: until stopped)."""

    base_url: str
    ws_url: str
    hustlers: int
    seed: int
    speed: float
    duration_s: float | None = None


class Crowd(Protocol):
    """A source of hustlers and of the tasks to post."""

    name: str

    async def staff(self, city: City) -> None:
        """Hires hustlers as they are needed; returns when the crowd has no more."""
        ...

    def wishes(self) -> Iterator[tuple[float, Wish]]:
        """Yields (seconds of life to wait, wish), one after the other."""
        ...


class CityOver(Exception):
    """Raised inside the run's task group to end it."""


class City:
    """A running simulation; `people` and `posters` are those hired so far, for view and summary."""

    def __init__(self, setting: Setting, crowd: Crowd, mint: Mint, run_log: RunLog) -> None:
        self.setting = setting
        self.crowd = crowd
        self.run_log = run_log
        self.time_scale = TimeScale(setting.speed)
        self.people: list[Hustler] = []
        self.posters: list[Poster] = []
        self._mint = mint
        self._code_exchange = CodeExchange()
        self._work_s = {task_kind.title: task_kind.work_s for task_kind in plans.TASK_KINDS}
        self._over = asyncio.Event()
        self._hiring = asyncio.Semaphore(HIRES_AT_ONCE)

    @property
    def on_duty(self) -> int:
        """Returns the number of hustlers that are live or hold a task."""
        return sum(hustler.live or hustler.task is not None for hustler in self.people)

    def anyone_near(self, place: LatLng) -> bool:
        """Returns whether a free hustler stands inside the first radius around a point."""
        return any(
            hustler.free and miles_between(hustler.mover.where(), place) <= FIRST_RADIUS_MILES
            for hustler in self.people
        )

    def sessions(self) -> list[Session]:
        """Returns every session opened so far."""
        hustlers = [hustler.session for hustler in self.people]
        return hustlers + [poster.session for poster in self.posters]

    async def run(self) -> None:
        """Runs until the duration is over; closes every session on the way out."""
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        http = httpx.AsyncClient(
            base_url=self.setting.base_url, limits=limits, timeout=20, trust_env=False
        )
        try:
            async with http as self._http, asyncio.TaskGroup() as self._group:
                await self._live()
        except* CityOver:
            self.run_log.record("end", "the city goes to sleep")

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as hiring:
            for number in range(max(3, self.setting.hustlers // 8)):
                hiring.create_task(self._hire_poster(POSTER_NUMBERS_FROM + number))
        busy = self._group.create_task(self._staff_and_post())
        over = self._group.create_task(self._over.wait())
        await asyncio.wait(
            [busy, over],
            timeout=self.setting.duration_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        raise CityOver

    async def _staff_and_post(self) -> None:
        """Hires and posts until the crowd has no more of either."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self.crowd.staff(self))
            both.create_task(self._post())

    def end(self) -> None:
        """Ends the run at once."""
        self._over.set()

    # People

    async def hire(
        self, number: int, home: LatLng, mover: Mover, habits: Habits
    ) -> asyncio.Task[None]:
        """Gives a new hustler an account and starts its shift, whose asyncio task is returned."""
        async with self._hiring:
            person = await enrol(self._mint, "hustler", self.setting.seed, number, home)
        hustler = Hustler(
            person,
            self._session(person),
            self._api(person),
            mover,
            time_scale=self.time_scale,
            run_log=self.run_log,
            code_exchange=self._code_exchange,
            seed=self.setting.seed,
            work_s=self._work_s,
            habits=habits,
        )
        self.people.append(hustler)
        return self._group.create_task(hustler.shift())

    async def _hire_poster(self, number: int) -> None:
        async with self._hiring:
            person = await enrol(self._mint, "poster", self.setting.seed, number, None)
        poster = Poster(
            person,
            self._session(person),
            self._api(person),
            time_scale=self.time_scale,
            run_log=self.run_log,
            code_exchange=self._code_exchange,
            anyone_near=self.anyone_near,
            seed=self.setting.seed,
        )
        self.posters.append(poster)
        self._group.create_task(poster.attend())
        await poster.session.ready()

    def _session(self, person: Person) -> Session:
        jitter = Random(f"jitter {self.setting.seed} {person.number}")
        return Session(self.setting.ws_url, person.token, rng=jitter)

    def _api(self, person: Person) -> Api:
        return Api(self._http, person.token, rng=Random(f"retry {person.number}"))

    # Tasks

    async def _post(self) -> None:
        await self._until_staffed()
        for wait_s, wish in self.crowd.wishes():
            await self.time_scale.people(wait_s)
            draw = Random(f"who posts {self.setting.seed} {wish.number}")
            poster = self.posters[draw.randrange(len(self.posters))]
            self._group.create_task(poster.post(wish))

    async def _until_staffed(self) -> None:
        loop = asyncio.get_running_loop()
        latest = loop.time() + STAFFED_WITHIN_S
        wanted = self.setting.hustlers * STAFFED_SHARE
        while True:
            if self.on_duty >= wanted or loop.time() >= latest:
                return
            await asyncio.sleep(0.1)

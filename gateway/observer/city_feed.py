"""CITY: the map of hustlers and tasks, made once per tick for all observers (role admin)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final
from uuid import UUID

from msgspec import Struct

from engine.kernel.ids import UserId
from engine.kernel.loops import supervise
from engine.kernel.states import TaskState
from engine.kernel.store import Store
from gateway.contract import codec, limits
from gateway.contract.map import CITY_STATE, City, CityStats, CityTask
from gateway.delivery.registry import ConnectionRegistry
from gateway.observer.city_day import CityDay
from gateway.observer.offer_counts import OfferCounts
from gateway.tracking.location_tracker import LocationTracker

_QUERY_EVERY_S: Final = 1.0
_DIGITS: Final = 5
_STATE_OF_TASK: Final[Mapping[TaskState, int]] = {
    "ACCEPTED": CITY_STATE["EN_ROUTE"],
    "WORKING": CITY_STATE["WORKING"],
    "PROOF_SUBMITTED": CITY_STATE["WORKING"],
}


class CityTaskRow(Struct, frozen=True):
    """A running task as the query returns it."""

    id: UUID
    state: TaskState
    lat: float
    lng: float
    price_cents: int
    title: str
    broadcast_id: UUID | None = None
    hustler_id: UUID | None = None
    hustler_name: str | None = None
    radius_miles: float | None = None
    initial_radius_miles: float | None = None
    started_at: datetime | None = None
    expires_at: datetime | None = None


class CityCounts(Struct, frozen=True):
    """The counts of `CityStats` that stand in the database's indexes."""

    at: datetime
    matching: int
    en_route: int
    working: int
    paid_today: int


@dataclass(frozen=True, slots=True)
class CityRecord:
    """What the last second's queries found; `live` counts the hustlers of whom some are shown."""

    counts: CityCounts
    tasks: list[CityTaskRow]
    live: int


class CityFeed:
    """Joins a few queries a second with the positions in memory; idle without observers.

    Each query costs what it shows, or what has happened since the one before.
    """

    def __init__(
        self,
        registry: ConnectionRegistry,
        location_tracker: LocationTracker,
        store: Store,
        pace: Callable[[], float | None] | None = None,
    ) -> None:
        self._registry = registry
        self._location_tracker = location_tracker
        self._store = store
        self._day = CityDay(store)
        self._offers = OfferCounts(store)
        self._pace_now = pace
        self._pace: float | None = None
        self._known: CityRecord | None = None
        self._known_at = float("-inf")

    async def run(self) -> None:
        """Runs ticks until cancelled."""
        await supervise("city", self.tick)

    async def tick(self) -> None:
        """Sends one frame to every observer whose socket does not lag."""
        await asyncio.sleep(limits.CITY_EVERY_S)
        if not self._registry.observers:
            return
        if time.monotonic() - self._known_at >= _QUERY_EVERY_S or self._known is None:
            self._known = await self._read()
            self._known_at = time.monotonic()
            self._pace = self._pace_now() if self._pace_now else None
        payload = codec.encode("CITY", self.frame(self._known))
        for connection in tuple(self._registry.observers):
            if not connection.lags:
                connection.session.outbox.append(payload)
                connection.flush()

    async def _read(self) -> CityRecord:
        counts = await self._store.one(CityCounts, "city_counts")
        tasks = await self._store.rows_as(CityTaskRow, "city_tasks", limits.MAX_CITY_TASKS)
        await self._offers.read_on(
            {task.broadcast_id: task.state == "MATCHING" for task in tasks if task.broadcast_id}
        )
        await self._day.read_on(counts.at)
        return CityRecord(counts, tasks, sum(1 for _ in self._location_tracker.live))

    def frame(self, known: CityRecord) -> City:
        """Returns the frame of this moment."""
        busy = {task.hustler_id: _STATE_OF_TASK.get(task.state, 0) for task in known.tasks}
        hustlers = [
            (
                *_rounded(tracked.track.point.lat, tracked.track.point.lng),
                busy.get(tracked.user, 0),
            )
            for tracked in islice(self._location_tracker.live, limits.MAX_CITY_HUSTLERS)
        ]
        day, counts = self._day, known.counts
        stats = CityStats(
            sessions=len(self._registry),
            live=max(known.live, len(hustlers)),
            matching=counts.matching,
            en_route=counts.en_route,
            working=counts.working,
            offers_today=day.offers + self._offers.running,
            accepted_today=day.accepted,
            paid_today=counts.paid_today,
            no_accept_today=day.no_accept,
            median_time_to_accept_s=day.time_to_accept_s(0.5),
            p95_time_to_accept_s=day.time_to_accept_s(0.95),
            median_first_card_s=day.median_first_card_s(),
            median_human_s=day.median_human_s(),
        )
        return City(counts.at, hustlers, self._tasks(known.tasks), stats, self._pace)

    def _tasks(self, running: Sequence[CityTaskRow]) -> list[CityTask]:
        return [
            CityTask(
                id=task.id,
                state=task.state,
                lat=round(task.lat, _DIGITS),
                lng=round(task.lng, _DIGITS),
                price_cents=task.price_cents,
                title=task.title,
                radius_miles=task.radius_miles,
                hustlers_notified=self._offers.of(task.broadcast_id),
                started_at=task.started_at,
                expires_at=task.expires_at,
                hustler=self._place(task.hustler_id),
                hustler_name=task.hustler_name,
                initial_radius_miles=task.initial_radius_miles,
            )
            for task in running
        ]

    def _place(self, hustler: UUID | None) -> tuple[float, float] | None:
        place = self._location_tracker.last_point(UserId(hustler)) if hustler else None
        return _rounded(place.lat, place.lng) if place else None


def _rounded(lat: float, lng: float) -> tuple[float, float]:
    return round(lat, _DIGITS), round(lng, _DIGITS)

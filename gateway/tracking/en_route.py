"""Hustlers on the way to an ACCEPTED task: sends their location, and detects arrivals."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from engine.kernel import policy
from engine.kernel.ids import TaskId, UserId
from engine.tasks.queries import Engagement, TaskQueries
from gateway.contract import codec, limits, server
from geo.distance import distance_m, eta_minutes, is_within
from geo.points import LatLng


@dataclass(slots=True)
class Trip:
    """One task to which a hustler is on the way."""

    task: TaskId
    poster: UserId
    goal: LatLng
    arrived: bool
    last_sent_at: float = float("-inf")
    pending: LatLng | None = None
    """The newest place, pending while the poster got one too recently."""


class EnRoute:
    """Index of hustler → trips: takes positions, sends HUSTLER_LOCATION, returns arrivals."""

    def __init__(
        self, send_volatile: Callable[[UserId, bytes], object], tasks: TaskQueries
    ) -> None:
        """`send_volatile` writes a message to a user's sockets, wherever they are."""
        self._send_volatile = send_volatile
        self._tasks = tasks
        self._trips: dict[UserId, dict[TaskId, Trip]] = {}
        self._loads = 0
        self._loading: set[int] = set()
        self._loaded_by: dict[UserId, int] = {}

    def __contains__(self, hustler: object) -> bool:
        return hustler in self._trips

    def __iter__(self) -> Iterator[UserId]:
        """Iterates over the hustlers who are on the way."""
        return iter(self._trips)

    async def load(self, hustlers: Sequence[UserId]) -> None:
        """Reads the trips of these hustlers anew; of overlapping reads the last request stands."""
        self._loads += 1
        number = self._loads
        self._loading.add(number)
        try:
            self._take(number, hustlers, await self._tasks.engagements(hustlers))
        finally:
            self._loading.discard(number)
            if not self._loading:
                self._loaded_by.clear()

    def _take(
        self, number: int, hustlers: Sequence[UserId], engagements: Sequence[Engagement]
    ) -> None:
        found: defaultdict[UserId, dict[TaskId, Trip]] = defaultdict(dict)
        for engaged in engagements:
            known = self._trips.get(engaged.hustler, {}).get(engaged.task)
            found[engaged.hustler][engaged.task] = Trip(
                engaged.task,
                engaged.poster,
                LatLng(engaged.lat, engaged.lng),
                engaged.arrived,
                known.last_sent_at if known else float("-inf"),
                known.pending if known else None,
            )
        for hustler in hustlers:
            if self._loaded_by.get(hustler, 0) > number:
                continue  # a later question was answered earlier
            self._loaded_by[hustler] = number
            if hustler in found:
                self._trips[hustler] = found[hustler]
            else:
                self._trips.pop(hustler, None)

    def moved(self, hustler: UserId, position: LatLng) -> list[TaskId]:
        """Sends the position to the posters; returns the tasks where the hustler just arrived."""
        arrived = []
        now = time.monotonic()
        for trip in self._trips.get(hustler, {}).values():
            if not trip.arrived and is_within(position, trip.goal, policy.ARRIVAL_RADIUS_M):
                trip.arrived = True
                arrived.append(trip.task)
            if now - trip.last_sent_at >= limits.POSTER_VIEW_EVERY_S:
                self._send(trip, position, now)
            else:
                trip.pending = position
        return arrived

    async def round(self) -> None:
        """Sends pending positions, so that a poster's last view is never an old one."""
        await asyncio.sleep(limits.POSTER_VIEW_EVERY_S / 4)
        now = time.monotonic()
        for trips in self._trips.values():
            for trip in trips.values():
                if (
                    trip.pending is not None
                    and now - trip.last_sent_at >= limits.POSTER_VIEW_EVERY_S
                ):
                    self._send(trip, trip.pending, now)

    def _send(self, trip: Trip, position: LatLng, now: float) -> None:
        """Sends the newest position to the poster."""
        trip.last_sent_at = now
        trip.pending = None
        seen = server.HustlerLocation(
            trip.task,
            server.ShownLocation(position.lat, position.lng),
            eta_minutes(distance_m(position, trip.goal)),
        )
        self._send_volatile(trip.poster, codec.encode("HUSTLER_LOCATION", seen))

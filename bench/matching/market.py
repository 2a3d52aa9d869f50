"""A market in a real database and a real presence: hustlers around ten metros, running broadcasts.

Rows are written in bulk as the database's superuser, past the triggers: what they guard is tested
elsewhere, and a hundred thousand people would take an hour otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import numpy as np

from bench.micro.radius_query import City, settle_city
from engine.matching.score import CATEGORY_MEDIAN_CENTS
from geo.cells import place_centre, place_partition
from geo.points import LatLng
from geo.presence.presence import Heartbeat, Presence

CATEGORIES: Final = tuple(CATEGORY_MEDIAN_CENTS)
PLAN_S: Final = 600.0
HEARTBEAT_S: Final = 30


@dataclass(frozen=True)
class Place:
    """Where a task is, what kind it is, what it pays."""

    point: LatLng
    category: str
    price_cents: int


class Market:
    """The rows of one benchmark's market; `random` decides everything."""

    def __init__(self, superuser: asyncpg.Connection, random: np.random.Generator) -> None:
        self._superuser = superuser
        self._random = random
        self.city = City([], np.empty(0), np.empty(0))
        self._poster: UUID | None = None

    async def settle(self, hustlers: int) -> None:
        """Makes so many hustlers, all of them live, in an otherwise empty database."""
        await self._superuser.execute("set session_replication_role = replica")
        await self._superuser.execute(
            "truncate users, hustler_profiles, live_status, live_sessions, user_counters, tasks,"
            " escrows, live_broadcasts, offers, timers cascade"
        )
        self.city = settle_city(self._random, hustlers)
        ids = self.city.hustlers
        tiers = self._random.integers(1, 5, len(ids)).tolist()
        await self._copy(
            "users",
            ("id", "issuer", "subject", "role", "trust_tier"),
            [(i, "bench", str(i), "hustler", t) for i, t in zip(ids, tiers, strict=True)],
        )
        rates = self._random.uniform(0.7, 1.0, len(ids)).tolist()
        done = self._random.integers(0, 15, len(ids)).tolist()
        likes = self._random.integers(0, len(CATEGORIES), len(ids)).tolist()
        await self._copy(
            "hustler_profiles",
            ("user_id", "completion_rate", "preferred_categories", "category_counts"),
            [
                (i, rate, [CATEGORIES[like]], f'{{"{CATEGORIES[like]}": {count}}}')
                for i, rate, count, like in zip(ids, rates, done, likes, strict=True)
            ],
        )
        now: datetime = await self._superuser.fetchval("select now()")
        await self._copy(
            "live_status",
            ("user_id", "session_id", "active_since", "shift_since"),
            [(i, i, now, now) for i in ids],
        )
        (self._poster,) = await self._ids(1)
        await self._copy(
            "users",
            ("id", "issuer", "subject", "role"),
            [(self._poster, "bench", "poster", "poster")],
        )

    async def appear(self, presence: Presence) -> None:
        """Everybody's phone says where it is."""
        points = zip(self.city.lat.tolist(), self.city.lng.tolist(), strict=True)
        await presence.write(
            [
                Heartbeat(hustler, LatLng(*point), 1, 1)
                for hustler, point in zip(self.city.hustlers, points, strict=True)
            ]
        )

    async def stay(self, presence: Presence) -> None:
        """Everybody's phone says again where it is, one after the other, every 30 s; until cancelled."""
        points = list(
            zip(self.city.hustlers, self.city.lat.tolist(), self.city.lng.tolist(), strict=True)
        )
        share = -(-len(points) // HEARTBEAT_S)
        seq = 1
        while True:
            seq += 1
            for start in range(0, len(points), share):
                part = points[start : start + share]
                await presence.write(
                    [Heartbeat(who, LatLng(lat, lng), 1, seq) for who, lat, lng in part]
                )
                await asyncio.sleep(1.0)

    def places(self, count: int) -> list[Place]:
        """Returns places of tasks, spread as people are."""
        city = settle_city(self._random, count)
        categories = self._random.integers(0, len(CATEGORIES), count).tolist()
        prices = self._random.integers(15, 200, count).tolist()
        return [
            Place(LatLng(lat, lng), CATEGORIES[category], 100 * price)
            for lat, lng, category, price in zip(
                city.lat.tolist(), city.lng.tolist(), categories, prices, strict=True
            )
        ]

    async def broadcasts(self, places: Sequence[Place], ages_s: Sequence[float]) -> list[UUID]:
        """Starts broadcasts that are so old already; they run for an hour, so that none ends."""
        now: datetime = await self._superuser.fetchval("select hx_clock()")
        tasks, broadcasts = await self._ids(len(places)), await self._ids(len(places))
        await self._copy(
            "tasks",
            (
                "id", "mode", "state", "title", "description", "category", "price",
                "location_lat", "location_lng", "place_lat", "place_lng", "partition", "poster_id",
            ),
            [
                (
                    task, "LIVE", "MATCHING", "Carry a sofa", "Two floors", place.category,
                    place.price_cents, place.point.lat, place.point.lng,
                    (shown := place_centre(place.point.lat, place.point.lng)).lat, shown.lng,
                    place_partition(place.point.lat, place.point.lng), self._poster,
                )
                for task, place in zip(tasks, places, strict=True)
            ],
        )  # fmt: skip
        await self._copy(
            "live_broadcasts",
            (
                "id", "task_id", "started_at", "expires_at", "initial_radius_miles",
                "max_radius_miles", "expansion_step_miles", "expansion_interval_s", "partition",
            ),
            [
                (
                    broadcast, task, now - timedelta(seconds=age_s), now + timedelta(hours=1),
                    3.0, 10.0, 2.0, 60, place_partition(place.point.lat, place.point.lng),
                )
                for broadcast, task, place, age_s in zip(
                    broadcasts, tasks, places, ages_s, strict=True
                )
            ],
        )  # fmt: skip
        await self._say(broadcasts)
        return broadcasts

    async def end(self, broadcasts: Sequence[UUID]) -> None:
        """Ends broadcasts, as an accept by somebody else would."""
        await self._superuser.execute(
            "update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock()"
            " where id = any($1)",
            broadcasts,
        )
        await self._say(broadcasts)

    async def _say(self, broadcasts: Sequence[UUID]) -> None:
        """Writes down that these began or ended, as the triggers would."""
        await self._superuser.execute(
            "insert into changes (slot, kind, id)"
            " select changes_slot(hx_clock()), 'BROADCAST', b.id from unnest($1::uuid[]) as b (id)",
            broadcasts,
        )

    async def _ids(self, count: int) -> list[UUID]:
        rows = await self._superuser.fetch(
            "select hx_id() as id from generate_series(1, $1)", count
        )
        return [row["id"] for row in rows]

    async def _copy(self, table: str, columns: Sequence[str], records: list[Any]) -> None:
        await self._superuser.copy_records_to_table(table, columns=columns, records=records)

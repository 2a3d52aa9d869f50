"""A small world around one place: hustlers at given miles, tasks in its middle, real servers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from msgspec import json as msgjson

from broadcast.broadcaster import Broadcaster
from broadcast.limits import WaveLimits
from broadcast.ports import BroadcastUpdate
from engine.events.changes import ChangeFeed
from engine.kernel.applied import ClosedBroadcast
from engine.kernel.ids import UserId
from engine.kernel.store import Store
from engine.live.broadcast_plan import BroadcastPlan
from engine.live.views import OfferCard
from geo.cells import place_centre, place_partition
from geo.points import LatLng
from geo.presence.presence import Heartbeat, Presence
from geo.valkey import open_valkey
from sql.database import Database
from tests.support.servers import TestDatabase

MIDDLE = LatLng(37.7749, -122.4194)
MILES_PER_DEGREE = 69.0934
QUICK = WaveLimits(
    tick_s=0.03, poll_s=0.06, ack_s=0.02, resend_after_s=0.25, update_gap_s=0.0, backoff_s=0.04
)


def north(miles: float) -> LatLng:
    """So many miles north of the middle."""
    return LatLng(MIDDLE.lat + miles / MILES_PER_DEGREE, MIDDLE.lng)


@dataclass
class Counted:
    """The broadcaster's metrics, as a test reads them."""

    offers: int = 0
    deferred: int = 0
    resent: int = 0
    evaluated: int = 0
    read: int = 0
    rings: int = 0
    ticks: int = 0
    polls: int = 0
    calls: int = 0
    failures: list[str] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    now_running: int = 0

    def offers_made(self, count: int) -> None:
        """Offers inserted."""
        self.offers += count

    def offers_deferred(self, count: int) -> None:
        """Put off by a cap."""
        self.deferred += count

    def offers_resent(self, count: int) -> None:
        """Delivered again."""
        self.resent += count

    def pairs_evaluated(self, count: int) -> None:
        """Asked."""
        self.evaluated += count

    def hustlers_read(self, count: int) -> None:
        """Read."""
        self.read += count

    def ticked(self, seconds: float) -> None:
        """One tick."""
        assert seconds >= 0
        self.ticks += 1

    def expanded(self, late_s: Sequence[float]) -> None:
        """Rings offered."""
        self.rings += len(late_s)

    def database_called(self) -> None:
        """One query."""
        self.calls += 1

    def failed(self, loop: str) -> None:
        """One lost round."""
        self.failures.append(loop)

    def running(self, broadcasts: int) -> None:
        """How many run; told once in a pulse."""
        self.polls += 1
        self.now_running = broadcasts

    def funded_to_insert(self, seconds: float) -> None:
        """The machinery's share."""
        self.waits_s.append(seconds)


@dataclass
class FakeDelivery:
    """Delivery without sockets: keeps what it is given, and reports cards as shown on request."""

    shown: list[tuple[UUID, OfferCard]] = field(default_factory=list)
    received: list[tuple[UUID, BroadcastUpdate]] = field(default_factory=list)
    sent_at_s: list[float] = field(default_factory=list)
    closings: list[ClosedBroadcast] = field(default_factory=list)
    online: set[UserId] = field(default_factory=set)
    takes: Callable[[UUID], bool] = lambda _: False
    """Whose cards reach a socket."""
    acks: dict[tuple[UUID, UUID], float] = field(default_factory=dict)

    def cards(self, cards: Sequence[tuple[UserId, OfferCard]]) -> None:
        """Keep what is shown."""
        self.shown += cards
        for hustler, card in cards:
            if self.takes(hustler):
                self.acks.setdefault((card.broadcast_id, hustler), time.monotonic())

    def taken(self) -> Mapping[tuple[UUID, UUID], float]:
        """What reached a socket since the last call."""
        acks, self.acks = self.acks, {}
        return acks

    def broadcast_update(self, poster: UserId, update: BroadcastUpdate) -> None:
        """Keep what posters hear."""
        self.received.append((poster, update))
        self.sent_at_s.append(time.monotonic())

    def closed(self, closed: ClosedBroadcast) -> None:
        """Keep what ends."""
        self.closings.append(closed)

    def connected(self) -> Collection[UserId]:
        """Whose screen is on."""
        return self.online

    @property
    def updates(self) -> list[BroadcastUpdate]:
        """What posters heard, without whom."""
        return [update for _, update in self.received]

    def of(self, hustler: UUID) -> list[OfferCard]:
        """What one hustler was shown."""
        return [card for owner, card in self.shown if owner == hustler]


class World:
    """Real PostgreSQL and Valkey, and shorthand for what happens in it."""

    def __init__(self, owner: Any, database: Database, presence: Presence) -> None:
        self.owner = owner
        self.database = database
        self.presence = presence
        self.delivery = FakeDelivery()
        self.counted = Counted()
        self._seq = 0

    async def user(self, role: str, **columns: Any) -> UUID:
        """Somebody new."""
        columns = {"issuer": "test", "subject": str(uuid4()), "role": role} | columns
        places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
        made: UUID = await self.value(
            f"insert into users ({', '.join(columns)}) values ({places}) returning id",
            *columns.values(),
        )
        return made

    async def hustler(
        self,
        miles: float,
        *,
        radius: float | None = None,
        categories: list[str] | None = None,
        profile: dict[str, Any] | None = None,
        **columns: Any,
    ) -> UUID:
        """A hustler who is live so many miles north of the middle, screen on."""
        hustler = await self.user("hustler", **columns)
        for name, value in (profile or {}).items():
            await self.value(
                f"update hustler_profiles set {name} = $2 where user_id = $1",
                hustler,
                value,
            )
        await self.value("select go_live($1, $2, $3)", hustler, radius, categories)
        await self.at(hustler, miles)
        self.delivery.online.add(UserId(hustler))
        return hustler

    async def at(self, hustler: UUID, miles: float) -> None:
        """The hustler's phone says where it is."""
        self._seq += 1
        await self.presence.write([Heartbeat(hustler, north(miles), 1, self._seq)])

    async def task(self, *, price: int = 4000, **draft: Any) -> tuple[UUID, UUID]:
        """An unfunded LIVE task in the middle, and its poster."""
        poster = await self.user("poster", first_name="Pat", trust_tier=3)
        place = place_centre(MIDDLE.lat, MIDDLE.lng)
        terms = {
            "mode": "LIVE",
            "title": "Carry a sofa",
            "description": "Two floors",
            "category": "moving",
            "price": price,
            "location_lat": MIDDLE.lat,
            "location_lng": MIDDLE.lng,
            "place_lat": place.lat,
            "place_lng": place.lng,
            "partition": place_partition(MIDDLE.lat, MIDDLE.lng),
            "requires_proof": True,
            "min_photos": 1,
            "required_trust_tier": 1,
            "insurance_required": False,
            "background_check_required": False,
        } | draft
        made = json.loads(await self.value("select create_task($1, $2)", poster, json.dumps(terms)))
        return poster, UUID(made["task_id"])

    async def fund(self, poster: UUID, task: UUID, plan: BroadcastPlan | None = None) -> UUID:
        """Fund a task; the broadcast that starts. No bell rings."""
        escrow = json.loads(await self.value("select begin_funding($1, $2)", poster, task))
        booked = json.loads(
            await self.value(
                "select book_funding($1, $2, $3)",
                UUID(escrow["id"]),
                f"pay-{escrow['id']}",
                msgjson.encode(plan or BroadcastPlan()).decode(),
            )
        )
        return UUID(booked["started"][0]["params"]["id"])

    async def broadcast(self, **draft: Any) -> UUID:
        """A funded task's broadcast."""
        return await self.fund(*await self.task(**draft))

    async def advance(self, seconds: float) -> None:
        """Move the database's clock."""
        await self.value(
            "insert into clock_offset (amount) values ($1) on conflict (singleton) "
            "do update set amount = clock_offset.amount + excluded.amount",
            timedelta(seconds=seconds),
        )

    async def value(self, query: str, *arguments: Any) -> Any:
        """One value, asked as the owner."""
        return await self.owner.fetchval(query, *arguments)

    @asynccontextmanager
    async def broadcaster(self, limits: WaveLimits = QUICK) -> AsyncIterator[Broadcaster]:
        """A running broadcaster whose screens report what they show."""
        broadcaster = Broadcaster(
            self.database,
            self.presence,
            self.delivery,
            self.counted,
            random=Random(1),
            limits=limits,
        )
        self.delivery.takes = lambda _: True
        feed = ChangeFeed(
            Store(self.database), [broadcaster], every_s=limits.poll_s, failed=self.counted.failed
        )
        tasks = [asyncio.create_task(broadcaster.run()), asyncio.create_task(feed.run())]
        try:
            yield broadcaster
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def ticks(self, count: int = 3) -> None:
        """So many more ticks have passed."""
        seen = self.counted.ticks
        await until(lambda: self.counted.ticks >= seen + count)

    async def polls(self, count: int = 3) -> None:
        """So many more pulses have passed whole: one may be under way now."""
        seen = self.counted.polls
        await until(lambda: self.counted.polls > seen + count)

    async def reported(self, count: int) -> None:
        """So many offers are noted as sent."""
        noted = "select count(*) from offers where sent_at is not null"
        async with asyncio.timeout(5.0):
            while await self.value(noted) != count:  # noqa: ASYNC110 - of the database
                await asyncio.sleep(0.005)


async def until(happened: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until it happened; fails after `within_s`."""
    async with asyncio.timeout(within_s):
        while not happened():  # noqa: ASYNC110 - what happens in the world sets no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def open_world(database: TestDatabase, valkey_url: str) -> AsyncIterator[World]:
    """An empty world on its own database."""
    owner = await asyncpg.connect(database.owner_dsn)
    opened = await Database.open(database.dsn, role="hx_app", size=4)
    valkey = open_valkey(valkey_url)
    try:
        yield World(owner, opened, Presence(valkey))
    finally:
        await valkey.close()
        await opened.close()
        await owner.close()

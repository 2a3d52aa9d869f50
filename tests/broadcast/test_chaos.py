"""Everything at once, in random order: whoever may be offered a broadcast at the end has its card.

Hustlers come, go, move, answer, are suspended and paused; broadcasts begin, with and without a first
wave, and end; the clock leaps, presence is lost, and so are connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from uuid import UUID

import asyncpg
import msgspec
import pytest

from broadcast.broadcaster import Broadcaster
from engine.kernel.applied import Applied
from engine.kernel.broadcast_params import StartingTask
from engine.live.broadcast_plan import BroadcastPlan
from geo.distance import distance_m
from geo.units import METRES_PER_MILE
from sql.database import DatabaseAway
from tests.broadcast.world import MIDDLE, QUICK, World, north

OPEN_MAX = 3
LIMITS = replace(QUICK, open_offers=OPEN_MAX, first_offers=4, backoff_max_s=0.2)
SETTLE_S = 10.0
PLAN = msgspec.json.encode(BroadcastPlan()).decode()


class Chaos:
    """A small market, and all that can happen to it; `random` decides what."""

    def __init__(self, world: World, broadcaster: Broadcaster, random: Random) -> None:
        self.world = world
        self.broadcaster = broadcaster
        self.random = random
        self.miles: dict[UUID, float] = {}
        self.lock = asyncio.Lock()
        """The owner's connection takes one question at a time."""

    async def ask(self, query: str, *arguments: object) -> object:
        """One question, as the owner; None where the database refuses, as it may."""
        async with self.lock:
            try:
                return await self.world.value(query, *arguments)
            except asyncpg.PostgresError as refusal:
                if not str(refusal.sqlstate).startswith("HX"):
                    raise
                return None

    def somebody(self) -> UUID:
        """Any hustler."""
        return self.random.choice(list(self.miles))

    async def appear(self, hustler: UUID) -> None:
        """The phone says where it is."""
        async with self.lock:
            await self.world.at(hustler, self.miles[hustler])

    async def live(self) -> None:
        """Switches LIVE on, again or anew."""
        hustler = self.somebody()
        await self.ask("select go_live($1, null, null)", hustler)
        await self.appear(hustler)

    async def off(self) -> None:
        """Switches it off, and may be back at once."""
        hustler = self.somebody()
        await self.ask("select end_live($1, 'MANUAL')", hustler)
        if self.random.random() < 0.7:
            await self.ask("select go_live($1, null, null)", hustler)

    async def move(self) -> None:
        """Drives in or out."""
        hustler = self.somebody()
        self.miles[hustler] = self.random.uniform(0, 11)
        await self.appear(hustler)
        if self.random.random() < 0.5:
            self.broadcaster.wake_hustlers([hustler])

    async def answer(self) -> None:
        """Declines or skips an open offer."""
        response = self.random.choice(["DECLINE", "SKIP"])
        await self.ask(
            "select respond_to_offer(o.hustler_id, o.broadcast_id, $2, null)"
            " from open_offers(array[$1::uuid], hx_clock()) as o limit 1",
            self.somebody(),
            response,
        )

    async def pause(self) -> None:
        """LIVE mode waits for some seconds of the clock."""
        await self.ask(
            "update live_status set paused_until = hx_clock() + make_interval(secs => $2)"
            " where user_id = $1 and session_id is not null",
            self.somebody(),
            self.random.uniform(0.1, 20.0),
        )

    async def suspend(self) -> None:
        """The account is shut and opened."""
        hustler = self.somebody()
        for status in ("SUSPENDED", "ACTIVE"):
            await self.ask("update users set account_status = $2 where id = $1", hustler, status)
            await asyncio.sleep(self.random.uniform(0, 0.05))

    async def begin(self) -> None:
        """A broadcast starts, in this process or in another; its own answer may come late."""
        async with self.lock:
            poster, task = await self.world.task(price=self.random.randint(1_500, 20_000))
            begun = msgspec.json.decode(
                await self.world.value("select begin_funding($1, $2)", poster, task)
            )
        wave = None
        if self.random.random() < 0.6:
            starting = msgspec.convert(begun["starting"], StartingTask, strict=False)
            with suppress(DatabaseAway):  # nobody is found then
                wave = await self.broadcaster.first_wave.candidates(starting, 3.0)
        await asyncio.sleep(self.random.uniform(0, 0.03))
        booked = await self.ask(
            "select book_funding($1, 'pay-' || $1::uuid, $2, $3)",
            UUID(begun["id"]),
            PLAN,
            None if wave is None else msgspec.json.encode(wave).decode(),
        )
        if booked is not None and self.random.random() < 0.7:
            await asyncio.sleep(self.random.choice([0.0, 0.1]))
            self.broadcaster.applied(msgspec.json.decode(str(booked), type=Applied))

    async def end(self) -> None:
        """One ends, and nobody here did it."""
        await self.ask(
            "update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock() where id ="
            " (select id from live_broadcasts where state = 'ACTIVE' order by md5(id::text || $1)"
            " limit 1)",
            str(self.random.random()),
        )

    async def leap(self) -> None:
        """The clock is put forward: radii grow, pauses and broadcasts end."""
        async with self.lock:
            await self.world.advance(self.random.choice([1.0, 5.0, 25.0, 25.0, 310.0]))

    async def flush(self) -> None:
        """Presence is lost, and everybody is heard of again."""
        await self.world.presence._client.everywhere(b"FLUSHDB")
        for hustler in self.miles:
            await self.appear(hustler)

    async def disconnect(self) -> None:
        """Every connection of the application breaks."""
        await self.ask(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where datname = current_database() and application_name = 'hustlexp'"
        )

    async def act(self) -> None:
        """One thing after another."""
        usual: list[Callable[[], Awaitable[None]]] = [
            self.live, self.off, self.move, self.move, self.answer, self.answer, self.pause,
            self.suspend, self.begin, self.begin, self.begin, self.end, self.end, self.leap,
        ]  # fmt: skip
        for _ in range(25):
            rare = self.random.choice([self.disconnect, self.flush])
            await (rare if self.random.random() < 0.03 else self.random.choice(usual))()
            await asyncio.sleep(self.random.uniform(0, 0.03))

    async def wants(self) -> list[str]:
        """Who could be offered what, and has a place for it; and whose offer was never shown."""
        async with self.lock:
            rows = await self.world.owner.fetch(
                "with pairs as (select b.id, h.id as hustler, h.miles"
                " from live_broadcasts as b cross join unnest($1::uuid[], $2::float8[]) as h (id, miles)"
                " where b.state = 'ACTIVE' and h.miles <= broadcast_radius_miles(b, hx_clock())"
                "), judged as (select v.* from (select array_agg(id) as b, array_agg(hustler) as h,"
                " array_agg(miles) as m from pairs) as a, wave_eligibility(a.b, a.h, a.m) as v)"
                " select j.broadcast_id, j.hustler_id from judged as j"
                " where j.result = 'OFFER' and $3 > (select taken from places_taken("
                " array[j.hustler_id], first_running_broadcast(), last_running_broadcast(), hx_clock()))",
                list(self.miles),
                [distance_m(MIDDLE, north(m)) / METRES_PER_MILE for m in self.miles.values()],
                OPEN_MAX,
            )
            opened = await self.world.owner.fetch(
                # who has driven out of all reach is no broadcaster's: a LIVE mode that comes back
                # there brings the cards by its event
                "select o.broadcast_id, o.hustler_id from open_offers($1, hx_clock()) as o"
                " inner join unnest($1::uuid[], $2::float8[]) as h (id, miles)"
                " on h.id = o.hustler_id and h.miles <= 3.0",
                list(self.miles),
                list(self.miles.values()),
            )
        shown = {(card.broadcast_id, hustler) for hustler, card in self.world.delivery.shown}
        return [f"{h} lacks {b}" for b, h in rows] + [
            f"{h} is not shown {b}" for b, h in opened if (b, h) not in shown
        ]


@pytest.mark.parametrize(
    "seed", [1, 2, *(pytest.param(n, marks=pytest.mark.long) for n in range(3, 40))]
)
async def test_nobody_goes_without_a_card_whatever_happens_at_once(world: World, seed: int) -> None:
    """Three hands at once, and then ten seconds at most."""
    random = Random(seed)
    async with world.broadcaster(LIMITS) as broadcaster:
        chaos = Chaos(world, broadcaster, random)
        for n in range(10):
            chaos.miles[await world.hustler(n * 0.9)] = n * 0.9
        await asyncio.gather(*(chaos.act() for _ in range(3)))
        loop = asyncio.get_running_loop()
        end = loop.time() + SETTLE_S
        while wants := await chaos.wants():
            assert loop.time() < end, wants[:5]
            await asyncio.sleep(0.05)
        made = await chaos.ask("select count(*) from offers")
        assert isinstance(made, int)
        assert made > 0

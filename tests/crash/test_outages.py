"""Hundreds of hustlers among a thousand running broadcasts, and each part killed and stood still.

The service, PostgreSQL and Valkey in turn: kill -9, then SIGSTOP and SIGCONT, while broadcasts end. Counted
at the clients and by brute force over where they are: nobody is shown a pair twice, or one that is over,
and after each outage nobody who could be offered a broadcast goes without its card.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import numpy as np
import pytest

from geo.distance import distances_m
from geo.points import LatLng
from geo.units import METRES_PER_MILE
from tests.crash.service_process import ServiceProcess, Victim
from tests.crash.socket_client import SocketClient

OPEN_OFFERS = 10
HEAL_S = 60.0
"""The end of patience until the service says that it is ready, and every client is welcomed."""
SETTLE_S = 10.0
"""From then on, until nobody lacks a card."""
VICTIMS: tuple[Victim, ...] = ("service", "postgres", "valkey")


@dataclass(frozen=True)
class Scale:
    """How much of everything, and how long a part stands still."""

    cities: int
    broadcasts: int
    hustlers: int
    stands_s: tuple[float, float]


BIG = Scale(cities=80, broadcasts=1_000, hustlers=300, stands_s=(1.0, 60.0))


class Market:
    """Cities far from each other, in each a few hustlers and a dozen tasks on offer."""

    def __init__(self, service: ServiceProcess, scale: Scale, seed: int) -> None:
        self.service = service
        self.random = random.Random(seed)
        self.scale = scale
        self.cities = [LatLng(30.0 + n % 12, -118.0 + 3 * (n // 12)) for n in range(scale.cities)]
        self.clients: list[SocketClient] = []
        self.where: list[LatLng] = []

    def near(self, n: int, miles: float) -> LatLng:
        """Somewhere in a city."""
        city, reach = self.cities[n % len(self.cities)], miles / 69.0
        north, east = self.random.uniform(-reach, reach), self.random.uniform(-reach, reach)
        return LatLng(city.lat + north, city.lng + east)

    async def move_in(self, stack: AsyncExitStack) -> None:
        """Everybody connects and goes LIVE."""
        made = await self.service.tokens("hustler", self.scale.hustlers)
        self.clients = [
            SocketClient(self.service.urls["ws_url"], one["token"], one["user_id"]) for one in made
        ]
        self.where = [self.near(n, 3.0) for n in range(len(made))]
        for start in range(0, len(made), 50):
            await asyncio.gather(
                *(stack.enter_async_context(c) for c in self.clients[start : start + 50])
            )
        answers = await asyncio.gather(
            *(
                client.ask("SUBSCRIBE_LIVE_MODE", {"location": {"lat": at.lat, "lng": at.lng}})
                for client, at in zip(self.clients, self.where, strict=True)
            )
        )
        assert {answer["data"]["state"] for answer in answers} == {"ACTIVE"}

    async def fund(self, count: int) -> None:
        """So many more broadcasts, ten posters at once."""
        posters = await self.service.tokens("poster", 10)
        numbers = iter(range(count))

        async def one_after_another(token: str) -> None:
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(
                base_url=self.service.urls["url"], headers=headers, timeout=30
            ) as client:
                for n in numbers:
                    at = self.near(n, 5.0)
                    body = {
                        "mode": "LIVE", "title": "Hang a door", "description": "It came off.",
                        "category": "handyman", "price_cents": self.random.randint(2_000, 9_000),
                        "location": {"lat": at.lat, "lng": at.lng},
                    }  # fmt: skip
                    task = (await client.post("/v1/tasks", json=body)).json()["id"]
                    funded = await client.post(f"/v1/tasks/{task}/fund", json={})
                    assert funded.status_code < 300, funded.text

        await asyncio.gather(*(one_after_another(poster["token"]) for poster in posters))

    async def end(self, count: int) -> None:
        """So many end, told by nobody."""
        rows = await self.service.rows(
            "select id from live_broadcasts where state = 'ACTIVE' order by id"
        )
        ended = self.random.sample([row["id"] for row in rows], min(count, len(rows)))
        await self.service.rows(
            "update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock()"
            " where id = any($1)",
            ended,
        )

    async def wants(self) -> list[str]:
        """Who lacks an offer that they could have, or has one that is not on the screen."""
        broadcasts = await self.service.rows(
            # what has begun, or has grown, within two seconds may still be on its way
            "select b.id, t.location_lat as lat, t.location_lng as lng,"
            " broadcast_radius_miles(b, greatest(b.started_at, hx_clock() - interval '2 s')) as miles"
            " from live_broadcasts as b inner join tasks as t on t.id = b.task_id"
            " where b.state = 'ACTIVE' and b.expires_at > hx_clock() + interval '2 s'"
        )
        ids = [UUID(client.user_id) for client in self.clients]
        offers = await self.service.rows(
            "select hustler_id, broadcast_id from open_offers($1, hx_clock())", ids
        )
        live = await self.service.rows(
            "select user_id from live_status as s where user_id = any($1)"
            " and live_state(s, hx_clock()) = 'ACTIVE'",
            ids,
        )
        active = {row["user_id"] for row in live}
        held: dict[UUID, set[UUID]] = {hustler: set() for hustler in ids}
        for row in offers:
            held[row["hustler_id"]].add(row["broadcast_id"])
        lat = np.array([row["lat"] for row in broadcasts])
        lng = np.array([row["lng"] for row in broadcasts])
        reach_m = np.array([row["miles"] for row in broadcasts]) * METRES_PER_MILE
        found: list[str] = [f"{hustler} is not LIVE" for hustler in set(ids) - active]
        for client, hustler, where in zip(self.clients, ids, self.where, strict=True):
            near = np.flatnonzero(distances_m(where, lat, lng) <= reach_m)
            within = {broadcasts[n]["id"] for n in near}
            if len(held[hustler]) < OPEN_OFFERS:
                found += [f"{hustler} lacks {b}" for b in within - held[hustler]]
            screen = {UUID(broadcast) for broadcast in client.screen}
            found += [f"{hustler} is not shown {b}" for b in held[hustler] - screen]
            found += [f"{hustler} is still shown {b}" for b in screen - held[hustler]]
        return found

    async def settled(self, what: str) -> float:
        """Waits until everything is well, after an outage; seconds from its healing."""
        begun = time.monotonic()
        while not (await self.service.ready() and all(c.is_welcome for c in self.clients)):
            assert time.monotonic() < begun + HEAL_S, f"{what}: not healed"
            await asyncio.sleep(0.1)
        healed = time.monotonic()
        while wants := await self.wants():
            late_s = time.monotonic() - healed
            assert late_s < SETTLE_S, f"{what}: {len(wants)}, {wants[:5]}"
            await asyncio.sleep(0.5)
        return time.monotonic() - healed


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1])
async def test_no_outage_costs_an_offer(tmp_path: Path, seed: int) -> None:
    """Each part is killed, and stands still for up to a minute, while broadcasts begin and end."""
    async with ServiceProcess(tmp_path / "service") as service, AsyncExitStack() as stack:
        market = Market(service, BIG, seed)
        await market.move_in(stack)
        await market.fund(BIG.broadcasts)
        took = {"begin": await market.settled("begin")}
        for victim in VICTIMS:
            await asyncio.gather(service.kill(victim), market.end(BIG.broadcasts // 25))
            took[f"kill {victim}"] = await market.settled(f"kill {victim}")
            seconds = market.random.uniform(*BIG.stands_s)
            if victim == "valkey":
                changes = [market.end(BIG.broadcasts // 25), market.fund(BIG.broadcasts // 50)]
            else:
                changes = [market.end(BIG.broadcasts // 25)]
            await asyncio.gather(service.pause(victim, seconds), *changes)
            name = f"stop {victim} {seconds:.0f} s"
            took[name] = await market.settled(name)
        print({name: round(seconds, 1) for name, seconds in took.items()})  # noqa: T201
        await _check(service, market.clients)


async def _check(service: ServiceProcess, clients: Sequence[SocketClient]) -> None:
    wrong = [f"{client.user_id}: {what}" for client in clients for what in client.wrong]
    assert wrong == []
    (late,) = await service.rows(
        "select count(*) as n from offers as o inner join live_broadcasts as b"
        " on b.id = o.broadcast_id where o.offered_at > coalesce(b.ended_at, b.expires_at)"
    )
    assert late["n"] == 0
    (all_offers,) = await service.rows("select count(*) as n from offers")
    assert all_offers["n"] > len(clients)

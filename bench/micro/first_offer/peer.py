"""The peer service: a broadcaster that asks for hustlers and inserts offers one by one.

GEOSEARCH for all hustlers in the radius, nearest first, then one guarded INSERT and one push each.
Same process, hub, sockets, SQL rules and caps; it neither scores nor looks again.
Started by `bench.micro.first_offer` as `python -m bench.micro.first_offer.peer dev …`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import Any, Final
from unittest.mock import patch
from uuid import UUID

import msgspec

from broadcast.ports import Delivery, WaveMetrics
from broadcast.wave_store import Wave
from engine.events.changes import Changes
from engine.kernel.applied import Applied
from engine.kernel.broadcast_params import BroadcastParams, StartingTask
from engine.live.views import OfferCard
from gateway.cli import main
from gateway.cli.run_file import deployment
from gateway.server import wiring
from geo.presence.presence import Presence
from geo.units import METRES_PER_MILE
from geo.valkey import Valkey, open_valkey
from sql.database import Database

GEO_KEY: Final = b"bench:first_offer"
"""The GEO set that holds the crowd's positions."""
OFFERS: Final = 200
OPEN_OFFERS: Final = 10


class _Answer(msgspec.Struct, frozen=True):
    broadcasts: list[BroadcastParams]


class Nobody:
    """The peer's first wave: it looks for hustlers after the commit."""

    async def candidates(self, starting: StartingTask, radius_miles: float) -> None:
        """Returns None."""
        del starting, radius_miles


class OneByOne:
    """The peer's broadcaster, with the interface that the composition root expects."""

    def __init__(
        self,
        database: Database,
        presence: Presence,
        delivery: Delivery,
        metrics: WaveMetrics,
        **settings: Any,
    ) -> None:
        del presence, metrics, settings
        self._database = database
        self._delivery = delivery
        self._woken: asyncio.Queue[UUID] = asyncio.Queue()
        self.first_wave = Nobody()

    def applied(self, applied: Applied) -> None:
        """Queues the broadcasts that a committed command has started."""
        for started in applied.started:
            self._woken.put_nowait(started.params.id)

    def changed(self, changes: Changes) -> None:
        """Ignores what other processes changed: there are none."""

    def wake_hustlers(self, hustlers: Iterable[UUID]) -> None:
        """Ignores who came near: it looks once."""

    async def run(self) -> None:
        """Offers one queued broadcast after the other until cancelled."""
        broadcast_id = await self._woken.get()
        # The address is known when the service is ready, which is before anybody funds anything.
        valkey = open_valkey(deployment(None, os.environ).redis.url)
        try:
            while True:
                await self._offer(valkey, broadcast_id)
                broadcast_id = await self._woken.get()
        finally:
            await valkey.close()

    async def _offer(self, valkey: Valkey, broadcast_id: UUID) -> None:
        answer = await self._database.call("wave_broadcasts", [broadcast_id])
        for params in msgspec.json.decode(answer, type=_Answer).broadcasts:
            found = await valkey.one(
                b"GEOSEARCH", GEO_KEY, b"FROMLONLAT", repr(params.lng), repr(params.lat),
                b"BYRADIUS", repr(params.initial_radius_miles * METRES_PER_MILE), b"m",
                b"ASC", b"COUNT", OFFERS, b"WITHDIST",
            )  # fmt: skip
            card = msgspec.json.decode(params.card, type=OfferCard)
            for hustler, metres in found:
                miles = [float(metres) / METRES_PER_MILE]
                made = await self._database.call(
                    "make_offers",
                    [broadcast_id],
                    [UUID(bytes=hustler)],
                    miles,
                    miles,
                    [0.5],
                    OPEN_OFFERS,
                )
                wave = msgspec.json.decode(made, type=Wave)
                self._delivery.cards(list(wave.deliveries({broadcast_id: card}.get)))


if __name__ == "__main__":
    with patch.object(wiring, "Broadcaster", OneByOne):
        main()

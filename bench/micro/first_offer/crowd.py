"""Hustlers as bare WebSockets in a process of their own: enough of the protocol to be live.

`python -m bench.micro.first_offer.crowd` reads one line of JSON from standard input, whom to be and
where, and writes one with their ids when all are LIVE. Each line after that asks for the cards that
have arrived since the last: broadcast, first and last arrival as Unix times, and how many.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import sys
import time
from collections import defaultdict
from typing import Final
from uuid import UUID

import msgspec
import uvloop
from websockets.asyncio.client import ClientConnection, connect

AT_ONCE: Final = 50
PING: Final = '{"type":"PING"}'
PING_EVERY_S: Final = 30.0
"""A third of the time after which presence forgets who is silent."""
SLICES: Final = 300


class Asked(msgspec.Struct, frozen=True):
    """Whom a crowd is to be: tokens, and where each is, in degrees."""

    ws_url: str
    people: list[tuple[str, float, float]]


class _Envelope(msgspec.Struct, frozen=True):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Welcome(msgspec.Struct, frozen=True):
    user_id: UUID


class _Card(msgspec.Struct, frozen=True):
    broadcast_id: UUID


class Crowd:
    """Sockets of live hustlers, and when each card arrived: broadcast → Unix times, in order."""

    def __init__(self, asked: Asked) -> None:
        self.arrivals: defaultdict[UUID, list[float]] = defaultdict(list)
        self.ids: dict[str, UUID] = {}
        self._asked = asked
        self._sockets: list[ClientConnection] = []
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def live(self, tasks: asyncio.TaskGroup) -> None:
        """Opens every socket and goes LIVE on it; watches and pings them from then on."""
        pinging = tasks.create_task(self._ping())
        try:
            await asyncio.gather(*(self._join(tasks, *person) for person in self._asked.people))
        except BaseException:
            pinging.cancel()
            raise

    async def _join(self, tasks: asyncio.TaskGroup, token: str, lat: float, lng: float) -> None:
        async with self._gate:
            socket = await connect(
                self._asked.ws_url, compression=None, ping_interval=None, max_size=1 << 20
            )
            await _say(socket, "AUTH", {"token": token})
            welcome = msgspec.json.decode(await _answer(socket, "WELCOME"), type=_Welcome)
            location = {"lat": lat, "lng": lng, "accuracy_m": 10}
            await _say(socket, "SUBSCRIBE_LIVE_MODE", {"location": location})
            await _answer(socket, "LIVE_MODE_STATE_CHANGE")
        self.ids[token] = welcome.user_id
        self._sockets.append(socket)
        tasks.create_task(self._watch(socket))

    async def _watch(self, socket: ClientConnection) -> None:
        async for frame in socket:
            at = time.time()
            envelope = msgspec.json.decode(frame, type=_Envelope)
            if envelope.type == "LIVE_TASK_BROADCAST":
                card = msgspec.json.decode(envelope.data, type=_Card)
                self.arrivals[card.broadcast_id].append(at)

    async def _ping(self) -> None:
        """Sends a sign of life on every socket in turn, a few at a time."""
        for number in itertools.count():
            for socket in self._sockets[number % SLICES :: SLICES]:
                await socket.send(PING)
            await asyncio.sleep(PING_EVERY_S / SLICES)


async def _say(socket: ClientConnection, kind: str, data: object) -> None:
    await socket.send(msgspec.json.encode({"type": kind, "data": data}).decode())


async def _answer(socket: ClientConnection, wanted: str) -> msgspec.Raw:
    while True:
        envelope = msgspec.json.decode(await socket.recv(), type=_Envelope)
        if envelope.type == wanted:
            return envelope.data
        if envelope.type == "ERROR":
            raise RuntimeError(bytes(envelope.data).decode())


async def _be() -> None:
    lines = asyncio.StreamReader(limit=64 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    asked = msgspec.json.decode(await lines.readline(), type=Asked)
    crowd = Crowd(asked)
    async with asyncio.TaskGroup() as tasks:
        await crowd.live(tasks)
        # A full collection of so many sockets would be counted as the service's delay.
        gc.freeze()
        gc.disable()
        print(json.dumps([str(crowd.ids[token]) for token, _, _ in asked.people]), flush=True)
        while await lines.readline():
            arrived, crowd.arrivals = crowd.arrivals, defaultdict(list)
            reported = [[str(b), min(at), max(at), len(at)] for b, at in arrived.items()]
            print(json.dumps(reported), flush=True)
        os._exit(0)  # a goodbye on each of thousands of sockets would take minutes


if __name__ == "__main__":
    uvloop.run(_be())

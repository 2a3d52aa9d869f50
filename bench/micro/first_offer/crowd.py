"""Two thousand hustlers as bare WebSockets: enough of the protocol to be live and to see cards."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from geo.points import LatLng

AT_ONCE = 100
PING = '{"type":"PING"}'


@dataclass(frozen=True, slots=True)
class Member:
    """A hustler of the crowd with its position."""

    user_id: UUID
    at: LatLng


class _Envelope(msgspec.Struct, frozen=True):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Welcome(msgspec.Struct, frozen=True):
    user_id: UUID


class _Card(msgspec.Struct, frozen=True):
    broadcast_id: UUID


class Crowd:
    """Sockets of live hustlers and when each card arrived: broadcast → Unix times, in order."""

    def __init__(self) -> None:
        self.arrivals: defaultdict[UUID, list[float]] = defaultdict(list)
        self.members: list[Member] = []
        self._sockets: list[ClientConnection] = []

    async def ping(self) -> None:
        """Sends a heartbeat on every socket."""
        for socket in self._sockets:
            await socket.send(PING)

    async def join(self, ws_url: str, token: str, at: LatLng) -> ClientConnection:
        """Opens one hustler's socket, goes LIVE on it and returns it."""
        socket = await connect(ws_url, compression=None, ping_interval=None, max_size=1 << 20)
        await socket.send(msgspec.json.encode({"type": "AUTH", "data": {"token": token}}).decode())
        welcome = msgspec.json.decode(await _answer(socket, "WELCOME"), type=_Welcome)
        location = {"lat": at.lat, "lng": at.lng, "accuracy_m": 10}
        await socket.send(
            msgspec.json.encode(
                {"type": "SUBSCRIBE_LIVE_MODE", "data": {"location": location}}
            ).decode()
        )
        await _answer(socket, "LIVE_MODE_STATE_CHANGE")
        self.members.append(Member(welcome.user_id, at))
        self._sockets.append(socket)
        return socket

    async def watch(self, socket: ClientConnection) -> None:
        """Notes the arrival of each card on one socket until it closes."""
        async for frame in socket:
            at = time.time()
            envelope = msgspec.json.decode(frame, type=_Envelope)
            if envelope.type == "LIVE_TASK_BROADCAST":
                card = msgspec.json.decode(envelope.data, type=_Card)
                self.arrivals[card.broadcast_id].append(at)


async def _answer(socket: ClientConnection, wanted: str) -> msgspec.Raw:
    while True:
        envelope = msgspec.json.decode(await socket.recv(), type=_Envelope)
        if envelope.type == wanted:
            return envelope.data
        if envelope.type == "ERROR":
            raise RuntimeError(bytes(envelope.data).decode())


@asynccontextmanager
async def crowd(ws_url: str, people: Sequence[tuple[str, LatLng]]) -> AsyncIterator[Crowd]:
    """Yields the crowd with every (token, point) LIVE; closes the sockets at the end."""
    made = Crowd()
    gate = asyncio.Semaphore(AT_ONCE)

    async def join(token: str, at: LatLng) -> ClientConnection:
        async with gate:
            return await made.join(ws_url, token, at)

    sockets = await asyncio.gather(*(join(token, at) for token, at in people))
    watching = [asyncio.create_task(made.watch(socket)) for socket in sockets]
    try:
        yield made
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        for socket in sockets:
            socket.transport.abort()

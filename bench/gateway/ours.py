"""Our sessions as a server under measurement: the wire, the sessions and the delivery, no database.

Run by `bench.gateway`. Every socket is a session that has been welcomed; a checked position is only
counted, and the rates are those of nobody, for one client sends for thousands.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import struct
import termios
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, cast
from uuid import UUID, uuid4

import uvloop
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from uvicorn.config import Config
from uvicorn.server import Server

from bench.gateway.serving import obey
from engine.kernel.ids import UserId
from engine.live.views import OfferCard, OfferedTask, PosterCard, RoundedLocation
from gateway.contract import codec, limits

limits.RATE_OF.update(UPDATE_LOCATION=(1e9, 1e9), PING=(1e9, 1e9))
limits.RATE = (1e9, 1e9)  # type: ignore[misc]
limits.MAX_UNAUTHENTICATED = 10**6  # type: ignore[misc]

from gateway.delivery.hub import Hub  # noqa: E402 - with the rates of nobody
from gateway.http.transport.protocol import GatewayHttpProtocol  # noqa: E402
from gateway.metrics.sessions import SessionMetrics  # noqa: E402
from gateway.server.frozen_heap import HeapSweep, frozen_heap  # noqa: E402
from gateway.session.connection import Connection  # noqa: E402
from gateway.session.session import Phase, Session  # noqa: E402
from gateway.session.transport import EXTENSION, GatewayWebSocketProtocol  # noqa: E402
from gateway.ws.socket_reader import SocketReader  # noqa: E402

_OLDEST_GENERATION: Final = 2
CARD: Final = OfferCard(
    UUID(int=1),
    OfferedTask(
        UUID(int=2), 1, "Carry a sofa", "Third floor, no lift, two people would be good.", "moving",
        4_500, 3_825, RoundedLocation(37.7749, -122.4194, "San Francisco, CA"), 1.25, None, 1.25,
    ),
    0.8125,
    datetime(2030, 1, 1, 10, 4, 0, 123456, tzinfo=UTC),
    PosterCard("Ada", 2),
)  # fmt: skip


class CountingHandlers:
    """Takes the requests of all sessions, and does nothing with them."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.moved = 0

    def move_at_once(self, connection: Connection, message: object) -> bool:
        """Counts a checked position."""
        del connection, message
        self.moved += 1
        return True

    def heard(self, connection: Connection) -> None:
        """Hears of a frame."""

    def read_on(self, connection: Connection) -> None:
        """Has nothing to go on with."""

    def left(self, connection: Connection) -> None:
        """Hears of a closed socket."""
        self._hub.left(connection)


class Subject:
    """The application of the server, and the commands of the run."""

    def __init__(self) -> None:
        self.hub = Hub(SessionMetrics(CollectorRegistry()))
        self.registry, self.cards = self.hub.registry, self.hub.cards
        self._handlers = CountingHandlers(self.hub)
        self._requests = asyncio.TaskGroup()
        self._began = self._longest_s = 0.0
        self._collections = 0
        self._same = codec.encode("LIVE_TASK_BROADCAST", CARD)

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        """Accepts a handshake and leaves a welcomed session there."""
        await receive()
        await send({"type": "websocket.accept"})
        now = time.monotonic()
        session = Session(uuid4(), now)
        session.user_id = UserId(uuid4())
        session.phase = Phase.OPEN
        transport = cast("GatewayWebSocketProtocol", scope["extensions"][EXTENSION])
        connection = Connection(session, transport, now)
        self.registry.opened(connection)
        self.registry.joined(connection)
        handlers = cast("Any", self._handlers)
        transport.attach(SocketReader(connection, handlers, self._requests))

    async def count(self, _: int) -> object:
        """Messages that were taken, and the CPU time until now."""
        return {"messages": self._handlers.moved, "cpu_s": time.process_time()}

    async def same(self, rounds: int) -> object:
        """The same bytes to everybody."""
        began = time.process_time()
        for _ in range(rounds):
            for user in self.registry.connected():
                self.registry.send(user, self._same)
            await asyncio.sleep(0)
        return {"cpu_s": time.process_time() - began}

    async def card(self, rounds: int) -> object:
        """One card of its own to each hustler."""
        return await self._show(rounds, 1)

    async def four(self, rounds: int) -> object:
        """Four cards of its own to each hustler, at once."""
        return await self._show(rounds, 4)

    async def _show(self, rounds: int, each: int) -> object:
        users = list(self.registry.connected())
        spent_s = 0.0
        for _ in range(rounds):
            cards = _cards_for(users, each)
            began = time.process_time()
            self.cards.cards(cards)
            waiting = len(cards)
            while waiting:
                waiting -= len(self.cards.taken())
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            spent_s += time.process_time() - began
        return {"cpu_s": spent_s}

    async def pause(self, _: int) -> object:
        """The longest full collection until now."""
        return {"pause_s": self._longest_s, "count": self._collections}

    def note_collection(self, phase: str, info: dict[str, Any]) -> None:
        """Takes the time of full collections; the collector calls it."""
        if info["generation"] == _OLDEST_GENERATION:
            if phase == "start":
                self._began = time.perf_counter()
            else:
                self._collections += 1
                self._longest_s = max(self._longest_s, time.perf_counter() - self._began)

    async def flood(self, seconds: int) -> object:
        """A hundred messages a second to everybody, and what is held meanwhile for who does not read."""
        began, most_held, gone_s = time.monotonic(), 0, 0.0
        connections = list(self.registry)
        while (now := time.monotonic()) - began < seconds:
            for connection in connections:
                most_held = max(most_held, _held_bytes(connection))
                if connection.cut_for == "slow" and not gone_s:
                    gone_s = now - began
            for user in list(self.registry.connected()):
                self.registry.send(user, self._same)
            await asyncio.sleep(0.01)
        return {"held_bytes": most_held, "gone_s": gone_s}


def _held_bytes(connection: Connection) -> int:
    """What the process and the kernel hold for a client: unsent, or sent and not acknowledged."""
    transport = cast("GatewayWebSocketProtocol", connection.transport)
    sock = transport.transport.get_extra_info("socket")
    if connection.gone or sock is None or sock.fileno() < 0:
        return 0
    (in_kernel,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    return transport.unsent_bytes() + int(in_kernel)


def _cards_for(users: Sequence[UserId], each: int) -> list[tuple[UserId, OfferCard]]:
    """The cards of a tick: of so many broadcasts, with everybody's own distance and score."""
    broadcasts = [replace(CARD, broadcast_id=uuid4()) for _ in range(each)]
    return [
        (
            user,
            replace(
                card,
                task=replace(card.task, distance_miles=0.01 * (number % 900) + 0.005),
                matching_score=1.0 - 0.0001 * (number % 7_919),
            ),
        )
        for number, user in enumerate(users)
        for card in broadcasts
    ]


async def main() -> None:
    """Serves until the input ends."""
    subject = Subject()
    config = Config(
        subject.application,
        interface="asgi3",
        port=0,
        http=cast("Any", partial(GatewayHttpProtocol)),
        ws=cast("Any", partial(GatewayWebSocketProtocol)),
        ws_max_size=limits.MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        log_config=None,
        log_level="critical",
        proxy_headers=False,
        backlog=4_096,
    )
    server = Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    hub = asyncio.create_task(subject.hub.run())
    commands = {
        "count": subject.count,
        "same": subject.same,
        "card": subject.card,
        "four": subject.four,
        "pause": subject.pause,
        "flood": subject.flood,
    }
    with frozen_heap():
        gc.callbacks.append(subject.note_collection)
        sweeps = asyncio.create_task(HeapSweep().run())
        await obey(port, commands)
        sweeps.cancel()
    hub.cancel()


if __name__ == "__main__":
    uvloop.run(main())

"""The real service on a free port, inside the test's own loop, and a raw client for it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engine.kernel.ids import UserId
from gateway.http.parts import Parts
from gateway.http.transport.patience import PATIENCE, Patience
from gateway.identity.auth import Role
from gateway.identity.minting import mint
from gateway.server.payments import OpenMoney, open_money
from gateway.server.roles import ProcessRole
from gateway.server.serving import configured, listen, url_of
from gateway.server.wiring import open_parts
from gateway.settings.groups import Http, Settings

Message = dict[str, Any]
WITHIN_S = 5.0
PLACE = {"lat": 37.7749, "lng": -122.4194}

_places = itertools.count()


def somewhere() -> dict[str, float]:
    """A place of its own, some 80 km from every other: tests of one database do not meet."""
    number = next(_places)
    return {"lat": 30.0 + (number % 18), "lng": -120.0 + number // 18}


def near(place: dict[str, float], miles: float = 0.5) -> dict[str, float]:
    """A point so far north of another."""
    return {"lat": round(place["lat"] + miles / 69.1, 6), "lng": place["lng"]}


@dataclass(frozen=True)
class User:
    """Somebody with a token."""

    user_id: UserId
    token: str
    role: Role


class Service:
    """A running service: its address, its parts, its people."""

    def __init__(self, url: str, parts: Parts, data_dir: Path, owner: asyncpg.Connection) -> None:
        self.url = url
        self.parts = parts
        self.owner = owner
        self.http = httpx.AsyncClient(base_url=url, timeout=30.0)
        self._data_dir = data_dir

    def token(self, subject: str, role: Role, *, lifetime_s: int = 600) -> str:
        """A token of the development issuer."""
        return self.token_at(subject, role, time.time(), lifetime_s=lifetime_s)

    def token_at(self, subject: str, role: Role, now: float, *, lifetime_s: int = 600) -> str:
        """One that was issued at that time, in Unix seconds."""
        return mint(
            self._data_dir, subject=subject, role=role, name="Ada", now=now, lifetime_s=lifetime_s
        )

    async def user(self, role: Role = "hustler") -> User:
        """Somebody new."""
        token = self.token(uuid4().hex, role)
        caller = await self.parts.authenticator.user(token)
        return User(caller.user_id, token, role)

    @property
    def ws_url(self) -> str:
        """Where sockets connect."""
        return self.url.replace("http", "ws", 1) + "/ws"

    async def rest(self, user: User, method: str, path: str, body: object = None) -> Any:
        """One REST call that succeeds; its JSON."""
        headers = {"Authorization": f"Bearer {user.token}"}
        answer = await self.http.request(method, path, json=body, headers=headers)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def live_task(self, poster: User, place: dict[str, float], **fields: Any) -> Message:
        """A LIVE task, not yet funded."""
        task: Message = await self.rest(
            poster,
            "POST",
            "/v1/tasks",
            {
                "mode": "LIVE",
                "title": "Hang a door",
                "description": "It came off.",
                "category": "handyman",
                "price_cents": 4_000,
                "location": place,
                **fields,
            },
        )
        return task

    async def funded(self, poster: User, place: dict[str, float]) -> Message:
        """A LIVE task on broadcast."""
        task = await self.live_task(poster, place)
        await self.rest(poster, "POST", f"/v1/tasks/{task['id']}/fund", {})
        return task


class Client:
    """A raw socket: says anything, remembers everything it was told."""

    def __init__(self, wire: ClientConnection) -> None:
        self.wire = wire
        self.heard: list[Message] = []
        self._ids = itertools.count(1)

    async def say(self, kind: str, data: object = None, *, ref: str | int | None = None) -> None:
        """Sends one message."""
        message: Message = {"type": kind}
        if ref is not None:
            message["id"] = ref
        if data is not None:
            message["data"] = data
        await self.raw(msgspec.json.encode(message).decode())

    async def raw(self, text: str | bytes) -> None:
        """Sends one frame as it is."""
        await self.wire.send(text)

    async def hear(self, within_s: float = WITHIN_S) -> Message:
        """The next message."""
        async with asyncio.timeout(within_s):
            message: Message = msgspec.json.decode(await self.wire.recv())
        self.heard.append(message)
        return message

    async def hear_until(self, kind: str, within_s: float = WITHIN_S, **data: Any) -> Message:
        """The next message of a type whose data has these values; what comes before is kept."""
        async with asyncio.timeout(within_s):
            while True:
                message = await self.hear(within_s)
                received = message.get("data") or {}
                if message["type"] == kind and data.items() <= received.items():
                    return message

    async def find(self, kind: str, **data: Any) -> Message:
        """As `hear_until`, or what was heard already."""
        for message in self.heard:
            if message["type"] == kind and data.items() <= (message.get("data") or {}).items():
                return message
        return await self.hear_until(kind, **data)

    async def ask(self, kind: str, data: object = None, within_s: float = WITHIN_S) -> Message:
        """Sends a request and returns its answer, by `id`."""
        ref = f"r{next(self._ids)}"
        await self.say(kind, data, ref=ref)
        async with asyncio.timeout(within_s):
            while (message := await self.hear(within_s)).get("id") != ref:
                pass
        return message

    async def auth(self, user: User, last_seq: int | None = None) -> Message:
        """AUTH up to WELCOME; its data."""
        data: Message = {"token": user.token}
        if last_seq is not None:
            data["last_seq"] = last_seq
        welcome = await self.ask("AUTH", data)
        assert welcome["type"] == "WELCOME", welcome
        received: Message = welcome["data"]
        return received

    async def nothing_but(self, *kinds: str, for_s: float = 0.3) -> None:
        """Nothing but these types comes for a while."""
        with contextlib.suppress(TimeoutError):
            while True:
                message = await self.hear(for_s)
                assert message["type"] in kinds, message

    async def closed(self, within_s: float = WITHIN_S) -> int:
        """The code the server closes with; what comes before is kept."""
        try:
            while True:
                await self.hear(within_s)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

    def types(self) -> list[str]:
        """The types of everything heard."""
        return [message["type"] for message in self.heard]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.wire.close()


@asynccontextmanager
async def open_client(service: Service, **options: Any) -> AsyncIterator[Client]:
    """A fresh socket."""
    async with connect(service.ws_url, compression=None, max_size=None, **options) as wire:
        yield Client(wire)


@asynccontextmanager
async def joined(
    service: Service, user: User, last_seq: int | None = None
) -> AsyncIterator[Client]:
    """A socket that has had its WELCOME."""
    async with open_client(service) as client:
        await client.auth(user, last_seq)
        yield client


@asynccontextmanager
async def live(service: Service, user: User, place: dict[str, float]) -> AsyncIterator[Client]:
    """A hustler's socket in LIVE mode, present at a place."""
    async with joined(service, user) as client:
        answer = await client.ask("SUBSCRIBE_LIVE_MODE", {"location": place})
        assert answer["data"]["state"] == "ACTIVE", answer
        yield client


@asynccontextmanager
async def running(
    dsn: str,
    owner_dsn: str,
    valkey_url: str,
    data_dir: Path,
    money_of: OpenMoney = open_money,
    *,
    patience: Patience = PATIENCE,
    role: ProcessRole = ProcessRole.ALL,
    **more: str,
) -> AsyncIterator[Service]:
    """The service, opened and closed as the command line does it; `more` are settings."""
    settings = Settings.load(
        {
            "HX_POSTGRES_DSN": dsn,
            "HX_REDIS_URL": valkey_url,
            "HX_DATA_DIR": str(data_dir),
            "HX_DEVELOPMENT": "true",
            "HX_ORIGINS": "https://app.example.com",
            **more,
        }
    )
    listener = listen(Http(port=0))
    url = url_of(listener)
    owner = await asyncpg.connect(owner_dsn)
    async with open_parts(settings, money_of, role) as parts:
        server = _Server(configured(parts, shutdown_s=1.0, patience=patience))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.began.wait()
        service = Service(url, parts, data_dir, owner)
        try:
            yield service
        finally:
            await service.http.aclose()
            parts.hub.stop()
            server.should_exit = True
            await serving
            await owner.close()


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers, and with a word when it accepts."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.began = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to accept."""
        await super().startup(sockets)
        self.began.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the test runner's."""
        yield


def uuid_of(text: str) -> UUID:
    """An id from a message."""
    return UUID(text)

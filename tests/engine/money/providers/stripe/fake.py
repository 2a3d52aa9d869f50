"""A Stripe of our own: a real server on a loopback port that the official SDK talks to."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import uvicorn
from starlette.types import Receive, Scope, Send

from tests.engine.money.providers.stripe.app import FakeApi
from tests.engine.money.providers.stripe.chaos import KIND, Chaos, Dial
from tests.engine.money.providers.stripe.ledger import Ledger
from tests.engine.money.providers.stripe.webhook_queue import WebhookQueue


class FakeStripe:
    """One account with its API, its webhooks and its dial; `seed` decides all its chances."""

    def __init__(self, seed: int = 0, dial: Dial = KIND) -> None:
        self.ahead_s = 0
        self.chaos = Chaos(seed, dial)
        self.webhooks = WebhookQueue(self.chaos, self.now)
        self.ledger = Ledger(self.now, self.webhooks.take, uuid4().hex[:8])
        self.api = FakeApi(self.ledger, self.chaos)

    def now(self) -> int:
        """Unix time, `ahead_s` seconds ahead of this machine."""
        return int(time.time()) + self.ahead_s

    def mutations(self, path: str) -> list[str | None]:
        """The idempotency keys of all POST calls to a path, in order."""
        return [key for method, each, key in self.api.calls if (method, each) == ("POST", path)]


class FakeServer:
    """One server for many fakes, one at a time: starting and stopping a server costs 0.2 s."""

    def __init__(self) -> None:
        self.fake = FakeStripe()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The present fake answers."""
        await self.fake.api.app(scope, receive, send)


@asynccontextmanager
async def served(fake_server: FakeServer) -> AsyncIterator[str]:
    """The fakes behind a real server; its base address."""
    # Named as TCP, so that asyncio sends every answer at once instead of after 40 ms.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(fake_server, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving

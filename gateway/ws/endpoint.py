"""The WebSocket endpoint: admits or refuses handshakes, and opens a session on each socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import cast
from uuid import UUID, uuid4

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from engine.kernel import errors
from gateway.contract import problems
from gateway.delivery.hub import Hub
from gateway.identity import security_log
from gateway.identity.client_address import counted_as
from gateway.identity.origins import Origins
from gateway.metrics.requests import RequestMetrics
from gateway.session.connection import Connection
from gateway.session.session import Session
from gateway.session.sink import Transport
from gateway.session.transport import EXTENSION
from gateway.ws.handlers import MessageHandlers
from gateway.ws.socket_reader import SocketReader


class WebSocketEndpoint:
    """The ASGI application behind `/ws`."""

    def __init__(
        self,
        hub: Hub,
        handlers: MessageHandlers,
        metrics: RequestMetrics,
        origins: Collection[str] = (),
        *,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self._hub = hub
        self._handlers = handlers
        self._metrics = metrics
        self._origins = Origins(origins)
        self._new_id = new_id
        self._requests: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Owns the tasks of requests under way until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._requests = group
            await asyncio.Event().wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses the handshake with a problem document, or accepts it and leaves a session there."""
        address = counted_as(scope["client"][0] if scope.get("client") else "unknown")
        await receive()
        if not self._origins.allow(scope):
            origin = Headers(scope=scope).get("origin", "")
            security_log.origin_refused(origin=origin, address=address)
            refusal = errors.refusal("HX503", "PERMISSION", "This origin may not connect.")
            await _deny(refusal, self._metrics, send)
        elif self._hub.registry.full or self._hub.stopping or self._requests is None:
            await _deny(errors.refusal("UNAVAILABLE"), self._metrics, send)
        elif self._hub.registry.full_for(address):
            await _deny(errors.refusal("RATE_LIMITED"), self._metrics, send)
        else:
            await send({"type": "websocket.accept"})
            transport = cast("Transport", scope["extensions"][EXTENSION])
            self._attach_session(scope, address, transport, self._requests)

    def _attach_session(
        self, scope: Scope, address: str, transport: Transport, requests: asyncio.TaskGroup
    ) -> None:
        """Opens a session on an accepted handshake; from here on no task waits for the socket."""
        now = time.monotonic()
        session = Session(self._new_id(), now, _bearer(Headers(scope=scope)), self._refused)
        connection = Connection(session, transport, now, address)
        self._hub.registry.opened(connection)
        transport.attach(SocketReader(connection, self._handlers, requests))

    def _refused(self, kind: errors.ErrorKind) -> None:
        self._metrics.refused("socket", kind)


class Elsewhere:
    """The ASGI application for WebSocket handshakes on every other path: refuses them all."""

    def __init__(self, metrics: RequestMetrics) -> None:
        self._metrics = metrics

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Refuses the handshake with a problem document."""
        await receive()
        await _deny(errors.refusal("NOT_FOUND"), self._metrics, send)


async def _deny(refusal: errors.Refusal, metrics: RequestMetrics, send: Send) -> None:
    """Answers the handshake with a problem document instead of the upgrade."""
    metrics.refused("socket", refusal.kind)
    response = problems.response(refusal, uuid4().hex)
    await send(
        {
            "type": "websocket.http.response.start",
            "status": response.status_code,
            "headers": response.raw_headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})


def _bearer(headers: Headers) -> str | None:
    """Returns the handshake's bearer token, for a client whose AUTH gives only `last_seq`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None

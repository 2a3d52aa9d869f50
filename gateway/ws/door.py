"""The WebSocket's door: who may open one, and the loop that reads it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import cast
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from engine import errors
from gateway import problems
from gateway.delivery.hub import Hub
from gateway.metrics import Metrics
from gateway.ws.answers import Answers
from gateway.ws.connection import Connection
from gateway.ws.conversation import Conversation
from gateway.ws.protocol import EXTENSION, Wire
from gateway.ws.session import Session


class Door:
    """The ASGI application behind `/ws`."""

    def __init__(
        self,
        hub: Hub,
        answers: Answers,
        metrics: Metrics,
        origins: Collection[str] = (),
        *,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self._hub = hub
        self._answers = answers
        self._metrics = metrics
        self._origins = frozenset(origins)
        self._new_id = new_id
        self._requests: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Owns the requests under way; for ever."""
        async with asyncio.TaskGroup() as group:
            self._requests = group
            await asyncio.Event().wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses before the upgrade, or reads the socket until it closes."""
        headers = Headers(scope=scope)
        await receive()
        if not self._welcomes(headers):
            await self._deny(
                errors.refusal("HX503", "PERMISSION", "This origin may not connect."), send
            )
        elif self._hub.full or self._hub.stopping or self._requests is None:
            await self._deny(errors.refusal("UNAVAILABLE"), send)
        else:
            await send({"type": "websocket.accept"})
            await self._converse(scope, headers, receive, self._requests)

    async def _converse(
        self, scope: Scope, headers: Headers, receive: Receive, requests: asyncio.TaskGroup
    ) -> None:
        wire = cast("Wire", scope["extensions"][EXTENSION])
        session = Session(self._new_id(), time.monotonic(), _bearer(headers), self._refused)
        connection = Connection(session, wire, time.monotonic())
        conversation = Conversation(connection, self._answers, requests)
        self._hub.opened(connection)
        try:
            while (frame := await receive())["type"] != "websocket.disconnect":
                text = frame.get("text")
                if connection.gone:
                    continue
                if text is None:
                    session.receive_binary(time.monotonic())
                else:
                    message = session.receive(text, time.monotonic(), datetime.now(UTC))
                    if message is not None:
                        conversation.take(message)
                self._answers.heard(connection)
                connection.flush()
        finally:
            connection.closed()
            self._hub.left(connection)

    def _refused(self, kind: errors.ErrorKind) -> None:
        self._metrics.refused("socket", kind)

    def _welcomes(self, headers: Headers) -> bool:
        """Only browsers send Origin: ours, and those that are configured, may connect."""
        origin = headers.get("origin")
        if origin is None or origin in self._origins:
            return True
        return urlsplit(origin).netloc == headers.get("host", "")

    @staticmethod
    async def _deny(refusal: errors.Refusal, send: Send) -> None:
        """An HTTP problem in place of the upgrade."""
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
    """The token of the handshake, for a client whose AUTH gives only `last_seq`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None

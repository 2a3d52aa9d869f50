"""The requests of one socket, carried out one after the other and answered in that order.

What needs no database (heartbeats, most positions) does not wait behind what does, and a client that
asks faster than it is answered is not read for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from engine.kernel import errors
from gateway.contract import client, limits
from gateway.session.connection import Connection
from gateway.ws.handlers import MessageHandlers


class RequestQueue:
    """Queue of one socket's requests; its worker task exists only while there are some."""

    __slots__ = ("_connection", "_group", "_handlers", "_waiting", "_working")

    def __init__(
        self, connection: Connection, handlers: MessageHandlers, group: asyncio.TaskGroup
    ) -> None:
        self._connection = connection
        self._handlers = handlers
        self._group = group
        self._waiting: deque[client.ClientMessage] = deque()
        self._working = False

    def take(self, message: client.ClientMessage) -> None:
        """Carries the request out now, or queues it behind those that wait."""
        if (
            isinstance(message, client.UpdateLocation)
            and not self._working
            and self._handlers.move_at_once(self._connection, message)
        ):
            return
        if len(self._waiting) >= limits.MAX_WAITING_REQUESTS:
            self._connection.session.refuse(
                errors.refusal("RATE_LIMITED"), message.id, time.monotonic()
            )
            return
        self._waiting.append(message)
        if len(self._waiting) == limits.MAX_WAITING_REQUESTS:
            self._connection.hold()
        if not self._working:
            self._working = True
            self._group.create_task(self._work(), name="socket-requests")

    async def _work(self) -> None:
        """Carries out requests until none waits; the one under way survives the socket's close."""
        try:
            while self._waiting and not self._connection.gone:
                message = self._waiting.popleft()
                await self._handlers.answer(self._connection, message)
                self._connection.read_on(time.monotonic())
        finally:
            self._working = False
            self._waiting.clear()

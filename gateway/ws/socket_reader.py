"""What is read from one socket: messages for its session, requests for its queue."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from gateway.contract import close_codes
from gateway.identity import security_log
from gateway.session.connection import Connection
from gateway.ws.handlers import MessageHandlers
from gateway.ws.request_queue import RequestQueue


class SocketReader:
    """The sink of one socket (`gateway.session.sink.Sink`)."""

    __slots__ = ("_connection", "_handlers", "_requests")

    def __init__(
        self, connection: Connection, handlers: MessageHandlers, group: asyncio.TaskGroup
    ) -> None:
        self._connection = connection
        self._handlers = handlers
        self._requests = RequestQueue(connection, handlers, group)

    def text(self, message: str) -> None:
        """Takes a text message: answers it, or has its request carried out."""
        connection = self._connection
        if connection.gone:
            return
        session = connection.session
        request = session.receive(message, time.monotonic(), _server_time)
        if request is not None:
            self._requests.take(request)
        self._handlers.heard(connection)
        if session.outbox or session.ending is not None:
            connection.flush()

    def binary(self) -> None:
        """Refuses a binary message."""
        connection = self._connection
        if not connection.gone:
            connection.session.receive_binary(time.monotonic())
            self._handlers.heard(connection)
            connection.flush()

    def alive(self) -> None:
        """Takes a control frame as a sign of life."""
        connection = self._connection
        if not connection.gone:
            connection.session.heard_at = time.monotonic()
            self._handlers.heard(connection)

    def drained(self) -> None:
        """Goes on with what was held back while the client had much unread."""
        self._handlers.read_on(self._connection)

    def closed(self) -> None:
        """Lets go of the socket; a request under way is carried out all the same."""
        connection = self._connection
        connection.closed()
        self._handlers.left(connection)
        session = connection.session
        if session.ending in close_codes.FOR_WHAT_THE_CLIENT_DID:
            security_log.session_refused(
                reason=session.ending.name, user=session.user_id, address=connection.address
            )


def _server_time() -> datetime:
    return datetime.now(UTC)

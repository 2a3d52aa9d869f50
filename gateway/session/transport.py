"""uvicorn's WebSocket protocol, made to show the application its transport.

ASGI has no way to write without waiting, to see the unsent bytes or to cut a socket; a single
client that stops reading would block its sender indefinitely.
The scope's extension `hustlexp.wire` holds the connection as a `Transport`.
A handshake that is none is answered with a problem document, and frames that carry no message are
counted against a bucket of the socket.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Protocol, cast
from uuid import uuid4

from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader, InvalidUpgrade
from websockets.frames import Frame
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import StatusLike

from engine.kernel.errors import ErrorKind
from gateway.contract import close_codes, limits, problems
from gateway.identity.token_bucket import TokenBucket

EXTENSION: Final = "hustlexp.wire"

_TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", None)


class Transport(Protocol):
    """Interface of an open WebSocket as the gateway drives it; no call blocks."""

    def write(self, frames: bytes) -> None:
        """Hands whole frames to the transport; drops them after a close."""

    def unsent_bytes(self) -> int:
        """Returns the bytes that the kernel has not taken yet."""

    def shut(self, code: int, reason: str) -> None:
        """Starts the closing handshake; aborts the socket if the peer does not finish it."""

    def abort(self) -> None:
        """Aborts the connection now, without a close frame."""


class GatewayWebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol class with access to the transport and a bounded closing handshake."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        refused: Callable[[ErrorKind], None] = lambda _: None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn.parser.close()  # the library's own handshake; its generator would keep it
        self.conn = _Handshake(max_size=config.ws_max_size, logger=self.logger)
        self._refused = refused
        self._early = bytearray()
        self._discarding = False
        self._dropped_bytes = 0
        self._control = TokenBucket(*limits.CONTROL, self.loop.time())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bounds what the kernel may hide from the outbound limits."""
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _TCP_NOTSENT_LOWAT is not None:
                sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, limits.NOTSENT_LOWAT_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """Breaks the cycles of the library's parser, so that it dies by reference count."""
        super().connection_lost(exc)
        self.conn.parser.close()
        self.conn.parser_exc = None

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Takes the transport out of the scope, which it holds itself."""
        super().on_task_complete(task)
        cast("dict[str, object]", self.scope["extensions"]).clear()

    def data_received(self, data: bytes) -> None:
        """Parses; after a broken frame the rest is read and dropped, so that the close arrives.

        What comes behind the handshake waits for its answer: a pong must not overtake it.
        """
        if self.handshake_initiated and not self.handshake_complete:
            self._early += data
            self.read_paused = True
            self.transport.pause_reading()
            return
        for start in range(0, len(data), limits.CONTROL_SLICE_BYTES):
            if self._discarding:
                self._drop(len(data) - start)
                return
            super().data_received(data[start : start + limits.CONTROL_SLICE_BYTES])

    def _drop(self, size_bytes: int) -> None:
        """Counts dropped bytes, and aborts a peer that does not stop sending."""
        self._dropped_bytes += size_bytes
        if self._dropped_bytes > limits.MAX_LINGER_BYTES:
            self.transport.abort()

    async def send(self, message: ASGISendEvent) -> None:
        """Sends an ASGI message; behind the handshake's answer reads the frames that waited."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # it was refused: uvicorn would log that as an error
        if self._early and self.handshake_complete:
            early = bytes(self._early)
            self._early.clear()
            self._read_on()
            self.data_received(early)

    def handle_connect(self, event: Request) -> None:
        """Adds the transport to an accepted handshake's scope; counts one that is invalid."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions = cast("dict[str, object]", self.scope["extensions"])
            extensions[EXTENSION] = self
        else:
            self._refused(_NO_HANDSHAKE.kind)

    def handle_ping(self) -> None:
        """Answers with a pong, as long as the rate of control frames allows."""
        super().handle_ping()
        self._count_control()

    def handle_pong(self, event: Frame) -> None:
        """Counts an unsolicited pong against the rate of control frames."""
        super().handle_pong(event)
        self._count_control()

    def handle_cont(self, event: Frame) -> None:
        """Takes a continuation frame; an empty one costs as much as a long one."""
        super().handle_cont(event)
        self._count_control()

    def _count_control(self) -> None:
        if not self._discarding and self._control.take(self.loop.time()):
            flood = close_codes.FLOOD
            self._discarding = True
            self.shut(flood.code, flood.meaning)

    def handle_close(self, event: Frame) -> None:
        """Handles the peer's close frame; closes the transport of a peer that no longer reads."""
        super().handle_close(event)
        self._cut_later()

    def handle_parser_exception(self) -> None:
        """Sends the close code (1002, 1007, 1009) and leaves the peer time to read it.

        Closing with unread data in the kernel would reset the connection and lose the reason.
        """
        self._discarding = True
        failed = self.conn.close_sent
        assert failed is not None
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": failed.code, "reason": failed.reason}
        )
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_sent = True
        self._cut_later()
        self._read_on()

    def shutdown(self) -> None:
        """Closes with 1012 for the server's stop, without waiting for clients that do not read."""
        super().shutdown()
        self._cut_later()

    # ── Wire ─────────────────────────────────────────────────────────────────────────────────────

    def write(self, frames: bytes) -> None:
        """Hands whole frames to the transport; drops them after a close."""
        if self.handshake_complete and not (self.close_sent or self.transport.is_closing()):
            self.transport.write(frames)

    def unsent_bytes(self) -> int:
        """Returns the bytes that the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    def shut(self, code: int, reason: str) -> None:
        """Starts the closing handshake; aborts the socket if the peer does not finish it."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._cut_later()
        self._read_on()

    def abort(self) -> None:
        """Aborts the connection now, without a close frame."""
        self.transport.abort()

    def _cut_later(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        if not self.disconnected:
            self.close_timer = self.loop.call_later(limits.CLOSE_WITHIN_S, self.transport.abort)

    def _read_on(self) -> None:
        """Resumes reading after a close frame, so that the peer's answer to it arrives."""
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()


_NO_HANDSHAKE: Final = problems.Unreadable(
    HTTPStatus.BAD_REQUEST, "This is no WebSocket handshake."
)


class _Handshake(ServerProtocol):
    """The library's handshake, refused with a problem document."""

    def process_request(self, request: Request) -> tuple[str, str | None, str | None]:
        """Refuses another version of the protocol with 426 (RFC 6455 §4.4)."""
        try:
            return super().process_request(request)
        except InvalidHeader as error:
            if error.name == "Sec-WebSocket-Version":
                raise InvalidUpgrade(error.name, error.value) from error
            raise

    def reject(self, status: StatusLike, text: str) -> Response:
        """Returns the problem document of a status."""
        del text  # the library's own words
        status = HTTPStatus(status)
        refusal = problems.Unreadable(status, _NO_HANDSHAKE.message)
        if status == HTTPStatus.UPGRADE_REQUIRED:
            refusal = problems.upgrade_required()
            del refusal.headers["Upgrade"]  # the library writes it
            refusal.headers["Connection"] = "close, Upgrade"
        else:
            refusal.headers["Connection"] = "close"
        response = problems.response(refusal, uuid4().hex)
        headers = Headers((name.decode(), value.decode()) for name, value in response.raw_headers)
        return Response(status.value, status.phrase, headers, bytes(response.body))

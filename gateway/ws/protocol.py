"""uvicorn's WebSocket protocol, made to show the application its transport.

ASGI has no way to write without waiting, to see the unsent bytes or to cut a socket; a single
client that stops reading would block its sender for ever.
The scope's extension `hustlexp.wire` holds the connection as a `Wire`.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final, Protocol, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from gateway import limits

EXTENSION: Final = "hustlexp.wire"

_TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", None)


class Wire(Protocol):
    """An open WebSocket as the gateway drives it: nothing here waits."""

    def write(self, frames: bytes) -> None:
        """Hands whole frames to the transport; nothing after a close."""

    def unsent_bytes(self) -> int:
        """What the kernel has not taken yet."""

    def shut(self, code: int, reason: str) -> None:
        """Starts the closing handshake; the socket is cut if the peer does not finish it."""

    def abort(self) -> None:
        """Cuts the socket now."""


class GatewayWebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol class with the transport in reach and no close that waits for ever."""

    _discarding = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bounds what the kernel may hide from the outbound limits."""
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _TCP_NOTSENT_LOWAT is not None:
                sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, limits.NOTSENT_LOWAT_BYTES)

    def data_received(self, data: bytes) -> None:
        """Parses; after a broken frame the rest is read and dropped, so that the close arrives."""
        if not self._discarding:
            super().data_received(data)

    def handle_connect(self, event: Request) -> None:
        """Adds the wire to the scope of an accepted handshake."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions = cast("dict[str, object]", self.scope["extensions"])
            extensions[EXTENSION] = self

    def handle_close(self, event: Frame) -> None:
        """The peer closes; one that reads no more does not keep the transport."""
        super().handle_close(event)
        self._cut_later()

    def handle_parser_exception(self) -> None:
        """Says why (1002, 1007, 1009) and leaves the peer time to read it.

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
        """The server stops: 1012, and no waiting for those who do not read it."""
        super().shutdown()
        self._cut_later()

    # ── Wire ─────────────────────────────────────────────────────────────────────────────────────

    def write(self, frames: bytes) -> None:
        """Hands whole frames to the transport; nothing after a close."""
        if self.handshake_complete and not (self.close_sent or self.transport.is_closing()):
            self.transport.write(frames)

    def unsent_bytes(self) -> int:
        """What the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    def shut(self, code: int, reason: str) -> None:
        """Starts the closing handshake; the socket is cut if the peer does not finish it."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._cut_later()
        self._read_on()

    def abort(self) -> None:
        """Cuts the socket now."""
        self.transport.abort()

    def _cut_later(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        if not self.disconnected:
            self.close_timer = self.loop.call_later(limits.CLOSE_WITHIN_S, self.transport.abort)

    def _read_on(self) -> None:
        """The peer's answer to a close must be read even if the application reads no more."""
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

"""uvicorn's WebSocket protocol, driven without a queue and without a task for each socket.

ASGI has no way to write without waiting, to see the unsent bytes or to cut a socket; a single
client that stops reading would block its sender indefinitely. And its way in costs a dict, a queue,
two switches of the reading and the wake of a task for each frame.
So the application accepts the handshake, takes the connection as a `Transport` out of the scope's
extension `hustlexp.wire`, and attaches a `Sink`, which is called with each message from then on.
A handshake that is none is answered with a problem document, and frames that carry no message are
counted against a bucket of the socket.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, cast

from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame
from websockets.http11 import Request

from engine.kernel.errors import ErrorKind
from gateway.contract import close_codes, limits
from gateway.identity.token_bucket import TokenBucket
from gateway.session import frames
from gateway.session.handshake import NO_HANDSHAKE, Handshake
from gateway.session.sink import DEAF, Sink

EXTENSION: Final = "hustlexp.wire"

_TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", None)


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
        self.conn = Handshake(max_size=config.ws_max_size, logger=self.logger)
        self.is_full = False
        self._refused = refused
        self._sink: Sink | None = None
        self._early = b""
        self._head = b""
        """The first bytes of a frame whose size they do not tell yet."""
        self._frame_owes_bytes = 0
        """How many more bytes belong to the frame that the library has begun to read."""
        self._discarding = False
        self._dropped_bytes = 0
        self._control = TokenBucket(*limits.CONTROL, self.loop.time())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bounds what the kernel may hide from the outbound limits."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(limits.CLOGGED_OUTBOUND_BYTES)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _TCP_NOTSENT_LOWAT is not None:
                sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, limits.NOTSENT_LOWAT_BYTES)

    def pause_writing(self) -> None:
        """Hears from the transport that much is unsent."""
        super().pause_writing()
        self.is_full = True

    def resume_writing(self) -> None:
        """Hears from the transport that most of what was unsent has left."""
        self.is_full = False
        super().resume_writing()
        if self._sink is not None:
            self._sink.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """Breaks the cycles of the library's parser, so that it dies by reference count."""
        self._discarding = True
        super().connection_lost(exc)
        self.conn.parser.close()
        self.conn.parser_exc = None
        self._ended()

    async def run_asgi(self) -> None:
        """Runs the application until it has refused the handshake or attached a sink."""
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            self.logger.exception("Exception in ASGI application\n")
            self.send_500_response()
        if self._sink is None and self.close_timer is None:
            self.transport.close()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Lets go of what only the handshake needed; the scope holds this very object."""
        super().on_task_complete(task)
        del self.scope, self.request, self.response

    # ── Frames in ────────────────────────────────────────────────────────────────────────────────

    def attach(self, sink: Sink) -> None:
        """Gives every frame to `sink` from now on, those that wait already first."""
        self._sink = sink
        self.queue = _NOWHERE
        early, self._early = self._early, b""
        self.read_on()
        if early:
            self.data_received(early)

    def data_received(self, data: bytes) -> None:
        """Takes whole text messages at once; any other frame is the library's, one after the other.

        One after the other, so that it makes no difference how the bytes were cut on their way, and
        a flood of tiny frames is noticed before it is answered.
        """
        sink = self._sink
        if sink is None:
            self._shake_hands(data)
            return
        if self._head:
            data, self._head = self._head + data, b""
        at = 0
        while not self._discarding:
            if not self._frame_owes_bytes:
                if not self.frames:
                    at = self._take_texts(data, at, sink)
                self._frame_owes_bytes = frames.size_bytes(data, at)
                if not self._frame_owes_bytes:
                    self._head = data[at:]
                    return
            part = data[at : at + self._frame_owes_bytes]
            if not part:
                return
            at += len(part)
            self._frame_owes_bytes -= len(part)
            self._parse(part)
        self._drop(len(data) - at)

    def _shake_hands(self, data: bytes) -> None:
        """Reads the handshake; what comes behind it waits, for a pong must not overtake its answer."""
        if self.handshake_initiated:
            self._early += data
            self.hold()
        else:
            super().data_received(data)

    def _take_texts(self, data: bytes, at: int, sink: Sink) -> int:
        """Hands over the whole text messages that begin at `at`; returns where they end."""
        while (
            not self.close_sent
            and (found := frames.masked_text(data, at, self.config.ws_max_size)) is not None
        ):
            payload, at = found
            try:
                text = payload.decode()
            except UnicodeDecodeError:
                self._fail_text()
            else:
                sink.text(text)
        return at

    def _parse(self, part: bytes) -> None:
        """Gives the library a frame, or a part of one, and does what it says."""
        self.conn.receive_data(part)
        self.handle_events()
        if self.conn.parser_exc is not None:
            self.handle_parser_exception()

    def send_receive_event_to_app(self) -> None:
        """Hands a message over that the library has put together."""
        sink, parts = self._sink, self.frames
        self.frames = []
        if self.close_sent or sink is None:
            return
        if self.curr_msg_data_type == "bytes":
            sink.binary()
            return
        try:
            text = b"".join(parts).decode()
        except UnicodeDecodeError:
            self._fail_text()
        else:
            sink.text(text)

    def _fail_text(self) -> None:
        self.conn.send_close(close_codes.NOT_UTF8.code, close_codes.NOT_UTF8.meaning)
        self.handle_parser_exception()

    def _drop(self, size_bytes: int) -> None:
        """Counts dropped bytes, and aborts a peer that does not stop sending."""
        self._dropped_bytes += size_bytes
        if self._dropped_bytes > limits.MAX_LINGER_BYTES:
            self.transport.abort()

    async def send(self, message: ASGISendEvent) -> None:
        """Sends an ASGI message; a handshake that was refused is answered, and no error."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True

    def handle_connect(self, event: Request) -> None:
        """Adds the transport to an accepted handshake's scope; counts one that is invalid."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions = cast("dict[str, object]", self.scope["extensions"])
            extensions[EXTENSION] = self
        else:
            self._refused(NO_HANDSHAKE.kind)

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
        if self._discarding:
            return
        if self._control.take(self.loop.time()):
            flood = close_codes.FLOOD
            self._discarding = True
            self.shut(flood.code, flood.meaning)
        elif self._sink is not None:
            self._sink.alive()

    # ── The end ──────────────────────────────────────────────────────────────────────────────────

    def handle_close(self, event: Frame) -> None:
        """Handles the peer's close frame; closes the transport of a peer that no longer reads."""
        self._discarding = True
        super().handle_close(event)
        self._end_soon()
        self._cut_later()

    def handle_parser_exception(self) -> None:
        """Sends the close code (1002, 1007, 1009) and leaves the peer time to read it.

        Closing with unread data in the kernel would reset the connection and lose the reason.
        """
        self._discarding = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_sent = True
        self._end_soon()
        self._cut_later()
        self.read_on()

    def shutdown(self) -> None:
        """Closes with 1012 for the server's stop, without waiting for clients that do not read."""
        super().shutdown()
        self.close_sent = True
        self._cut_later()

    def _end_soon(self) -> None:
        """Tells the sink once the present turn is over: whoever writes may walk through sockets."""
        self.loop.call_soon(self._ended)

    def _ended(self) -> None:
        sink = self._sink
        if sink is not None and sink is not DEAF:
            self._sink = DEAF
            sink.closed()

    def _cut_later(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        if not self.disconnected:
            self.close_timer = self.loop.call_later(limits.CLOSE_WITHIN_S, self.transport.abort)

    # ── Transport ────────────────────────────────────────────────────────────────────────────────

    def write(self, data: bytes) -> None:
        """Hands whole frames to the transport; drops them after a close."""
        if not (self.close_sent or self._discarding):
            self.transport.write(data)

    def unsent_bytes(self) -> int:
        """Returns the bytes that the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    async def drained(self) -> None:
        """Returns once the kernel has taken most of what was written, or the socket is gone."""
        await self.writable.wait()

    def ping(self) -> None:
        """Asks the peer for a sign of life."""
        self.write(frames.PING)

    def hold(self) -> None:
        """Stops reading, so that the peer has to wait; never behind a close frame."""
        if not (self.read_paused or self.close_sent or self.transport.is_closing()):
            self.read_paused = True
            self.transport.pause_reading()

    def read_on(self) -> None:
        """Reads again; behind a close frame the peer's answer to it arrives so."""
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def shut(self, code: int, reason: str) -> None:
        """Starts the closing handshake; aborts the socket if the peer does not finish it."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._end_soon()
        self._cut_later()
        self.read_on()

    def abort(self) -> None:
        """Aborts the connection now, without a close frame."""
        self.transport.abort()


class _Nowhere(asyncio.Queue[Any]):
    """The ASGI queue of all sockets that have a sink: nobody reads it."""

    def put_nowait(self, item: Any) -> None:
        """Forgets the item."""


_NOWHERE: Final = _Nowhere()

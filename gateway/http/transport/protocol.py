"""uvicorn's HTTP protocol with our own framing and a bound on everything a client may delay.

One request at a time: the next head is looked at when the answer before it has been written and its
body has been read to the end, so that nothing of one request can be taken for another.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, Literal, cast
from urllib.parse import unquote

import structlog
from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from gateway.contract import limits
from gateway.http.transport import chunks
from gateway.http.transport.chunks import Unframed
from gateway.http.transport.deadline import Deadline
from gateway.http.transport.framing import Head, Requests
from gateway.http.transport.patience import PATIENCE, Patience
from gateway.http.transport.refusal import refusal

Reason = chunks.Reason | Literal["silent", "slow_head", "slow_body", "slow_reader"]
"""Why a connection was closed although its client would have gone on."""

log = structlog.get_logger(__name__)


class GatewayHttpProtocol(HttpToolsProtocol):
    """Protocol of one connection, until it is closed or becomes a WebSocket."""

    cycle: RequestResponseCycle | None  # type: ignore[assignment]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        closed: Callable[[Reason], None] = lambda _: None,
        patience: Patience = PATIENCE,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.parser = None  # type: ignore[assignment]  # ours is `Requests`; this one holds us
        self._closed = closed
        self._patience = patience
        self._requests = Requests()
        self._spoke = False
        self._ended = False
        self._lingered_bytes = 0
        self._lingering = False
        self._linger_by = math.inf
        self._body_by = math.inf
        self._unsent_bytes = 0
        self._deadline = Deadline(self.loop, self._expire)

    # ── asyncio.Protocol ─────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts the deadline of the first head."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._wait_s(self._patience.head_within_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancels the deadline, and lets go of the request, which holds this protocol."""
        super().connection_lost(exc)
        self._deadline.cancel()
        self.cycle = None

    def data_received(self, data: bytes) -> None:
        """Parses received bytes; drops what comes behind the last answer."""
        if self._lingering:
            self._lingered_bytes += len(data)
            if self._lingered_bytes > limits.MAX_LINGER_BYTES:
                self.transport.abort()
            else:
                self._await_silence()
            return
        self._requests.feed(data)
        self._advance()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keeps a half-closed connection open for its answers."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or self._requests.in_body:
            return False
        assert isinstance(cycle, _Cycle)
        cycle.gone = self._ended = True
        return True

    def pause_writing(self) -> None:
        """Starts the deadline for the client to read what was written."""
        super().pause_writing()
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self._deadline.set(self._patience.answer_stall_s)

    def resume_writing(self) -> None:
        """Restores the deadline that was set before writing paused."""
        super().resume_writing()
        if self._requests.in_body:
            self._await_body()
        elif self.cycle is None or self.cycle.response_complete:
            self._idle()
        else:
            self._wait_s(math.inf)

    def shutdown(self) -> None:
        """Closes an idle connection now, and any other behind its answer."""
        if self._lingering:
            self.transport.abort()
        elif self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    # ── Requests ─────────────────────────────────────────────────────────────────────────────────

    def _advance(self) -> None:
        """Parses what has arrived as far as the request under way allows."""
        try:
            while not (self._lingering or self.transport.is_closing()):
                if self._requests.in_body and not self._take_body():
                    self._close_if_ended()
                    return
                if self.cycle is not None and not self.cycle.response_complete:
                    self._hold_back()
                    return
                head = self._requests.head()
                if head is None:
                    self._await_head()
                    self._close_if_ended()
                    return
                if head.upgrades:
                    self._upgrade(head)
                    return
                self._begin(head)
        except Unframed as unframed:
            self._refuse(unframed.status, unframed.detail, unframed.reason)

    def _close_if_ended(self) -> None:
        """Closes a half-closed connection whose request is incomplete: it never will be."""
        if self._ended:
            self.transport.close()

    def _await_head(self) -> None:
        """Starts the deadline of a head, counted from its first byte."""
        if self._requests.waiting_bytes and not self._spoke:
            self._spoke = True
            self._wait_s(self._patience.head_within_s)

    def _hold_back(self) -> None:
        """Pauses reading while pipelined requests wait for the answer before them."""
        if self._requests.waiting_bytes:
            self.flow.pause_reading()

    def _begin(self, head: Head) -> None:
        """Hands one request to the application."""
        self._spoke = True
        self._wait_s(math.inf)
        path = head.path.decode()
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": head.method,
            "root_path": self.root_path,
            "path": self.root_path + (unquote(path) if "%" in path else path),
            "raw_path": self.root_path.encode() + head.path,
            "query_string": head.query,
            "headers": head.fields,
            "state": self.app_state.copy(),
        }
        self.cycle = _Cycle(self, head, gone=self._ended)
        self.cycle.more_body = self._requests.in_body
        if self._requests.in_body:
            self._body_by = self.loop.time() + self._patience.body_within_s
            self._await_body()
        else:
            self.cycle.message_event.set()
        self._start_asgi_task(self.cycle, cast("ASGI3Application", self.app))

    def _take_body(self) -> bool:
        """Passes on or drops the body's bytes received so far; returns whether it is complete."""
        cycle = self.cycle
        assert cycle is not None
        part = self._requests.body()
        if not cycle.response_complete:
            cycle.body += part
            if len(cycle.body) > limits.MAX_UNREAD_BODY_BYTES:
                self.flow.pause_reading()
            cycle.message_event.set()
        if self._requests.in_body:
            self._await_body()
            return False
        cycle.more_body = False
        self._wait_s(math.inf)
        if cycle.response_complete:
            self._idle()
        return True

    def _await_body(self) -> None:
        by = min(self.loop.time() + self._patience.body_stall_s, self._body_by)
        self._wait_s(by - self.loop.time())

    def may_go_on(self) -> bool:
        """Returns whether another request can follow the answer that begins now.

        Not where the rest of this one's body may never come, as it need not after `Expect`, or is
        too long to be read for nothing.
        """
        if not self._requests.in_body:
            return True
        remaining = self._requests.remaining_bytes
        assert self.cycle is not None
        return (
            not self.cycle.waiting_for_100_continue
            and remaining is not None
            and remaining <= limits.MAX_DRAINED_BYTES
        )

    def on_response_complete(self) -> None:
        """Starts the next request, once this one's body has been read."""
        self.server_state.total_requests += 1
        if self._lingering or self.transport.is_closing():
            return
        assert self.cycle is not None
        self.cycle.body.clear()  # unread by the application; the connection may idle for long
        self.flow.resume_reading()
        if self._requests.in_body:
            self._body_by = self.loop.time() + self._patience.body_within_s
            self._await_body()
        else:
            self._idle()
        self._advance()

    def _idle(self) -> None:
        self._spoke = False
        self._wait_s(self._patience.keep_alive_s)

    # ── WebSocket ────────────────────────────────────────────────────────────────────────────────

    def _upgrade(self, head: Head) -> None:
        """Turns the connection into a WebSocket; bytes behind the handshake are its frames."""
        self._deadline.cancel()
        self.connections.discard(self)
        target = head.path + b"?" + head.query if head.query else head.path
        lines = [b"%b:%b" % field for field in head.fields if field[0] != b"content-length"]
        protocol = cast("Any", self.ws_protocol_class)(
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.data_received(b"\r\n".join([b"GET %b HTTP/1.1" % target, *lines, b"", b""]))
        if frames := self._requests.rest():
            protocol.data_received(frames)

    # ── The end ──────────────────────────────────────────────────────────────────────────────────

    def _refuse(self, status: int, detail: str, reason: Reason) -> None:
        """Answers instead of the application, and closes."""
        self._closed(reason)
        log.info("connection_refused", reason=reason, status=status)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        self.transport.write(refusal(status, detail, self.server_state.default_headers))
        self._linger()

    def close_gently(self) -> None:
        """Closes behind what has been written, and leaves the client time to read it."""
        if self._requests.in_body or self._requests.waiting_bytes:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        self._lingering = True
        self._lingered_bytes = 0
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._linger_by = self.loop.time() + self._patience.linger_within_s
        self._await_silence()

    def _await_silence(self) -> None:
        by = min(self.loop.time() + self._patience.linger_s, self._linger_by)
        self._deadline.set(by - self.loop.time())

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────

    def _wait_s(self, seconds: float) -> None:
        """Sets the deadline of the client's next step, unless its present one is to read."""
        if not self.flow.write_paused:
            self._deadline.set(seconds)

    def _expire(self) -> None:
        if self._lingering:
            self.transport.abort()
        elif self.flow.write_paused:
            self._expire_unread()
        elif self._requests.in_body:
            self._expire_body()
        elif self._requests.waiting_bytes:
            self._refuse(408, "The head of the request took too long.", "slow_head")
        else:
            self._expire_idle()

    def _expire_unread(self) -> None:
        """Aborts a client that has read nothing of the answer since the last look."""
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes >= self._unsent_bytes:
            self._closed("slow_reader")
            self.transport.abort()
            return
        self._unsent_bytes = unsent_bytes
        self._deadline.set(self._patience.answer_stall_s)

    def _expire_body(self) -> None:
        """Closes a connection whose body does not arrive, unless the server is not reading it."""
        if self.flow.read_paused and self.loop.time() < self._body_by:
            self._await_body()
        elif self.cycle is not None and self.cycle.response_complete:
            self._closed("slow_body")
            self.transport.abort()
        else:
            self._refuse(408, "The body of the request took too long.", "slow_body")

    def _expire_idle(self) -> None:
        if self.cycle is None:
            self._closed("silent")
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


class _Cycle(RequestResponseCycle):
    """One request and its answer; the answer says whether another request may follow."""

    def __init__(self, protocol: GatewayHttpProtocol, head: Head, *, gone: bool) -> None:
        super().__init__(
            scope=protocol.scope,
            transport=cast("asyncio.Transport", _Out(protocol)),
            flow=protocol.flow,
            logger=protocol.logger,
            access_logger=protocol.access_logger,
            access_log=False,
            default_headers=protocol.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=head.expects_continue,
            keep_alive=head.keeps_alive,
            on_response=protocol.on_response_complete,
        )
        self._may_go_on = protocol.may_go_on
        self.gone = gone
        """The client sends no more: whether it still reads is unknown."""

    async def receive(self) -> ASGIReceiveEvent:
        """Returns the next part of the body, and then the client's disconnect."""
        if self.gone and not self.message_event.is_set():
            return {"type": "http.disconnect"}
        return await super().receive()

    async def send(self, message: ASGISendEvent) -> None:
        """Sends a part of the answer."""
        if not (self.response_started or self.disconnected):
            self.keep_alive = self.keep_alive and self._may_go_on()
        await super().send(message)


class _Out:
    """The transport as an answer sees it: its close still reads what the client sends."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, protocol: GatewayHttpProtocol) -> None:
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing
        self.close = protocol.close_gently

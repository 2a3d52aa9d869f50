"""One WebSocket for one greenlet or thread: blocking, without a thread of its own.

The sans-I/O protocol of `websockets`, which service and client use too, over a plain socket.
gevent needs to patch nothing but that socket: no selector, no reader thread, no event loop, and a
user costs one greenlet.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from typing import Self

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

OPEN_TIMEOUT_S = 10.0
READ_BYTES = 65_536
MAX_MESSAGE_BYTES = 1 << 20


class Lost(Exception):
    """The connection has ended, or was not opened; `code` is the close code, 1006 without one."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code


class Link:
    """An open WebSocket; every method may raise Lost."""

    def __init__(self, connection: socket.socket, protocol: ClientProtocol) -> None:
        self._socket = connection
        self._protocol = protocol
        self._messages: deque[bytes] = deque()
        self._fragments: list[bytes] = []

    @classmethod
    def open(cls, url: str) -> Self:
        """Returns an open connection to a `ws://` URL, after the handshake."""
        uri = parse_uri(url)
        try:
            connection = socket.create_connection((uri.host, uri.port), OPEN_TIMEOUT_S)
        except OSError as error:
            raise Lost(1006, f"no connection: {error}") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = cls(connection, ClientProtocol(uri, max_size=MAX_MESSAGE_BYTES))
        try:
            link._shake_hands()
        except Lost:
            connection.close()
            raise
        return link

    def send(self, text: str) -> None:
        """Sends one message."""
        if self._protocol.state is not State.OPEN:
            raise self._lost()
        self._protocol.send_text(text.encode())
        self._flush()

    def receive(self, within_s: float) -> bytes | None:
        """Returns the next message, or None when none came within so many seconds."""
        deadline = time.monotonic() + within_s
        while not self._messages:
            if not self._read(deadline):
                return None
        return self._messages.popleft()

    def cut(self) -> None:
        """Ends the connection without a close frame, as a tunnel does."""
        self._socket.close()

    def _shake_hands(self) -> None:
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        deadline = time.monotonic() + OPEN_TIMEOUT_S
        while self._protocol.state is State.CONNECTING:
            if not self._read(deadline):
                raise Lost(1006, f"no handshake within {OPEN_TIMEOUT_S:g} s")
            if self._protocol.handshake_exc is not None:
                raise Lost(1006, f"handshake refused: {self._protocol.handshake_exc}")

    def _read(self, deadline: float) -> bool:
        """Reads once and takes what came; returns False when the deadline has passed."""
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return False
        try:
            self._socket.settimeout(left_s)
            received = self._socket.recv(READ_BYTES)
        except TimeoutError:
            return False
        except OSError as error:
            raise Lost(1006, str(error)) from error
        if received:
            self._protocol.receive_data(received)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        self._flush()
        if not received or (self._protocol.state is State.CLOSED and not self._messages):
            raise self._lost()
        return True

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                self._messages.append(b"".join(self._fragments))
                self._fragments.clear()

    def _flush(self) -> None:
        try:
            self._socket.settimeout(OPEN_TIMEOUT_S)
            for chunk in self._protocol.data_to_send():
                if chunk:
                    self._socket.sendall(chunk)
        except OSError as error:
            raise Lost(1006, str(error)) from error

    def _lost(self) -> Lost:
        return Lost(self._protocol.close_code or 1006, self._protocol.close_reason or "")

"""A WebSocket on a plain blocking socket: it lives in no event loop and makes no garbage itself."""

from __future__ import annotations

import socket
import struct
from typing import Final, Literal, get_args

import msgspec

Ending = Literal["vanishes", "closes", "resets", "is refused", "breaks a frame", "works"]
ENDINGS: Final[tuple[Ending, ...]] = get_args(Ending)

_WITHIN_S: Final = 10.0
_UPGRADE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_CLOSE_1000: Final = b"\x88\x82\0\0\0\0\x03\xe8"
_BROKEN: Final = b"\xff\xff"


class RawSocket:
    """One connection to `/ws`, after its handshake."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _WITHIN_S)
        self._socket.sendall(_UPGRADE)
        self._received = b""
        self.hear(b"\r\n\r\n")

    def say(self, kind: str, data: object = None) -> None:
        """Sends one message, masked with zeros."""
        payload = msgspec.json.encode({"type": kind, "id": 1, "data": data or {}})
        size = len(payload)
        head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + struct.pack("!H", size)
        self.send(head + b"\0\0\0\0" + payload)

    def send(self, frames: bytes) -> None:
        """Sends bytes as they are."""
        self._socket.sendall(frames)

    def hear(self, word: bytes) -> None:
        """Reads up to a word."""
        while word not in self._received:
            part = self._socket.recv(65_536)
            assert part, self._received
            self._received += part
        self._received = self._received.partition(word)[2]

    def drain(self) -> None:
        """Reads until the server closes."""
        while self._socket.recv(65_536):
            pass

    def close(self, *, reset: bool = False) -> None:
        """Closes without a close frame, or with a reset."""
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


def connect_and(ending: Ending, port: int, token: str) -> None:
    """Opens a session up to WELCOME and ends it."""
    raw = RawSocket(port)
    raw.say("AUTH", {"token": token})
    raw.hear(b"WELCOME")
    match ending:
        case "closes":
            raw.send(_CLOSE_1000)
            raw.drain()
        case "breaks a frame":
            raw.send(_BROKEN)
            raw.drain()
        case "is refused":
            raw.say("SUBSCRIBE_TASK", {"task_id": "00000000-0000-0000-0000-000000000000"})
            raw.hear(b"ERROR")
        case "works":
            raw.say("SUBSCRIBE_LIVE_MODE", {"location": {"lat": 37.7749, "lng": -122.4194}})
            raw.hear(b'"id":1')
        case "vanishes" | "resets":
            pass
    raw.close(reset=ending == "resets")

"""One phone: as much of RFC 6455 and of the protocol as a storm needs, and its own record of events.

A protocol of asyncio that frames by hand: the clients share their machine with the service.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

import msgspec

PING: Final = b"\x89\x80\0\0\0\0"
"""A ping without a payload, masked with zeros."""
_HANDSHAKE: Final = (
    "GET /ws HTTP/1.1\r\nHost: storm\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "X-Forwarded-For: {address}\r\n\r\n"
)
_TEXT: Final = 0x1


class _Envelope(msgspec.Struct, frozen=True):
    type: str
    seq: int | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Welcome(msgspec.Struct, frozen=True):
    last_seq: int


_decode = msgspec.json.Decoder(_Envelope).decode
_welcome = msgspec.json.Decoder(_Welcome).decode


class Phone(asyncio.Protocol):
    """A hustler's phone: what it has read of its log outlives its sockets."""

    def __init__(self, number: int, token: str) -> None:
        self.number = number
        self.token = token
        self.seq: int | None = None
        """The newest event it has; None before the first WELCOME."""
        self.events = 0
        """Events that came in their order."""
        self.gaps = 0
        """Events out of order, a RESYNC, or a WELCOME that says more than it was sent."""
        self.answer: asyncio.Future[bool] | None = None
        """Whether what it asked for last came, or was refused."""
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the upgrade, from an address of its own behind the proxy that this process is."""
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        self._unread, self._upgraded = b"", False
        n = self.number
        address = f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
        transport.write(_HANDSHAKE.format(address=address).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Counts as a refusal for whoever waits."""
        del exc
        self._transport = None
        self._answered(came=False)

    def data_received(self, data: bytes) -> None:
        """Reads whole frames; keeps the rest."""
        data = self._unread + data if self._unread else data
        if not self._upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._unread = head
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self.cut()
                return
            self._upgraded = True
            cursor = {} if self.seq is None else {"last_seq": self.seq}
            self.say("AUTH", {"token": self.token, **cursor})
        at = 0
        while (frame := _frame(data, at)) is not None:
            opcode, payload, at = frame
            if opcode == _TEXT:
                self._read(payload)
        self._unread = data[at:]

    def say(self, kind: str, data: object) -> None:
        """Sends one message, if it is connected."""
        if self._transport is not None:
            self._transport.write(_masked(msgspec.json.encode({"type": kind, "data": data})))

    def ping(self) -> None:
        """Gives a sign of life."""
        if self._transport is not None and self._upgraded:
            self._transport.write(PING)

    def cut(self) -> None:
        """Drops the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _read(self, payload: bytes) -> None:
        message = _decode(payload)
        if message.seq is not None and self.seq is not None:
            in_order = message.seq == self.seq + 1
            self.events += in_order
            self.gaps += not in_order
            self.seq = message.seq
        elif message.type == "WELCOME":
            last_seq = _welcome(message.data).last_seq
            self.gaps += self.seq is not None and last_seq != self.seq
            self.seq = last_seq
            self._answered(came=True)
        elif message.type == "LIVE_MODE_STATE_CHANGE":
            self._answered(came=True)
        elif message.type == "RESYNC":
            self.gaps += 1
        elif message.type == "ERROR":
            self._answered(came=False)

    def _answered(self, *, came: bool) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(came)


def _masked(payload: bytes) -> bytes:
    """Returns a text frame of fewer than 65,536 bytes, masked with zeros."""
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2)
    return head + b"\0\0\0\0" + payload


def _frame(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Returns opcode, payload and end of the frame at an offset; None where it is not whole."""
    if len(data) < at + 2:
        return None
    size, start = data[at + 1], at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if len(data) < start + width:
            return None
        size, start = int.from_bytes(data[start : start + width]), start + width
    end = start + size
    return (data[at] & 0x0F, data[start:end], end) if len(data) >= end else None

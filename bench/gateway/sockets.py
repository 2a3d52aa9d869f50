"""The clients of these runs: many bare WebSockets in one process, which is not what is measured."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

_HANDSHAKE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_AT_ONCE: Final = 64


class Socket(asyncio.BufferedProtocol):
    """One socket that counts what it gets and throws it away."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(65_536))
        self.received_bytes = 0
        self.pong: asyncio.Future[None] | None = None
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shakes hands."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(_HANDSHAKE)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Gives the one buffer that there is."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Counts, and takes the first bytes for the handshake's answer."""
        if not self.open.done():
            if not bytes(self._buffer[:12]).endswith(b"101"):
                raise ConnectionError(bytes(self._buffer[:nbytes]))
            self.open.set_result(None)
        self.received_bytes += nbytes
        if self.pong is not None and b'"PONG"' in bytes(self._buffer[:nbytes]):
            self.pong.set_result(None)
            self.pong = None

    async def ping(self) -> float:
        """Returns how many seconds the answer to a PING takes."""
        self.pong = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self.transport.write(PING)
        await self.pong
        return time.perf_counter() - began

    def connection_lost(self, exc: Exception | None) -> None:
        """Notes the end."""
        del exc
        if not self.closed.done():
            self.closed.set_result(None)


async def connect(port: int, receive_buffer_bytes: int | None = None) -> Socket:
    """Returns an open WebSocket, by choice with a small buffer in the kernel."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    await loop.sock_connect(sock, ("127.0.0.1", port))
    _, opened = await loop.create_connection(Socket, sock=sock)
    await opened.open
    return opened


@asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[Socket]]:
    """Opens so many sockets while the block runs."""
    sockets: list[Socket] = []
    try:
        for start in range(0, count, _AT_ONCE):
            size = min(_AT_ONCE, count - start)
            sockets += await asyncio.gather(*(connect(port) for _ in range(size)))
        yield sockets
    finally:
        for opened in sockets:
            opened.transport.abort()
        await asyncio.sleep(0.1)


def text_frame(payload: bytes) -> bytes:
    """Returns a client's text frame."""
    size, mask = len(payload), b"\x11\x22\x33\x44"
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


PING: Final = text_frame(b'{"type":"PING"}')

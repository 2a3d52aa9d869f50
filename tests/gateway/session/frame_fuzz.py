"""Random byte streams, cut at random, through our frame path and through `websockets` alone.

Case n of a seed is always the same, so a run goes on where it was stopped.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol, State
from websockets.utils import apply_mask

from gateway.session.sink import Transport
from gateway.session.transport import EXTENSION, GatewayWebSocketProtocol

MAX_BYTES: Final = 1_000
"""The largest message of these runs, so that too long ones are short."""
_HANDSHAKE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_TEXTS: Final = ("", "a", '{"type":"PING"}', "é" * 40, "𝄞", "x" * 125, "y" * 126, "z" * 900)
_NOT_UTF8: Final = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"ok\xc0\xaf")


@dataclass
class Heard:
    """What became of one stream."""

    messages: list[str | None] = field(default_factory=list)
    """Text messages; None for a binary one."""
    pongs: list[bytes] = field(default_factory=list)
    code: int | None = None
    """The close code that the server answered with; None while the session goes on."""


# ── Streams ──────────────────────────────────────────────────────────────────────────────────────


def stream(random: Random) -> bytes:
    """Returns frames of a client, most of them good, sometimes broken or cut short."""
    frames = b"".join(_frame(random) for _ in range(random.randint(1, 8)))
    if random.random() < 0.1:
        frames = _flipped(frames, random)
    if random.random() < 0.1:
        frames = frames[: random.randrange(len(frames))]
    if random.random() < 0.05:
        frames += random.randbytes(random.randint(1, 30))
    return frames


def _frame(random: Random) -> bytes:
    """Returns one frame, or a message in parts."""
    kinds = (_text, _fragments, _control, _binary, _close, _not_utf8, _broken)
    (kind,) = random.choices(kinds, (55, 10, 10, 5, 4, 4, 12))
    return kind(random)


def _text(random: Random) -> bytes:
    return _masked(0x81, random.choice(_TEXTS).encode(), random)


def _control(random: Random) -> bytes:
    opcode = random.choice((Opcode.PING, Opcode.PONG))
    return _masked(0x80 | opcode, random.randbytes(random.choice((0, 4, 125))), random)


def _binary(random: Random) -> bytes:
    return _masked(0x82, random.randbytes(random.randint(0, 200)), random)


def _close(random: Random) -> bytes:
    return _masked(0x88, random.choice((b"", b"\x03\xe8", b"\x03\xe8bye", b"\x0f\xa0")), random)


def _not_utf8(random: Random) -> bytes:
    return _masked(0x81, random.choice(_NOT_UTF8), random)


def _fragments(random: Random) -> bytes:
    """Returns one message in parts, with a control frame between; a part may end in a character."""
    payload = random.choice((*_TEXTS[3:6], *_NOT_UTF8, "é" * 600))
    whole = payload.encode() if isinstance(payload, str) else payload
    cut = random.randint(0, len(whole))
    parts = [_masked(random.choice((0x01, 0x02)), whole[:cut], random)]
    if random.random() < 0.5:
        parts.append(_masked(0x89, b"between", random))
    parts.append(_masked(0x00, b"", random))
    parts.append(_masked(0x80, whole[cut:], random))
    return b"".join(parts)


def _broken(random: Random) -> bytes:
    return random.choice(
        (
            lambda: _masked(0xC1, b"reserved bit", random),
            lambda: _masked(0x83, b"unknown opcode", random),
            lambda: _masked(0x09, b"ping in parts", random),
            lambda: _masked(0x89, b"p" * 126, random),
            lambda: _masked(0x80, b"nothing to go on with", random),
            lambda: _masked(0x01, b"never ended", random) + _masked(0x81, b"another", random),
            lambda: _masked(0x88, b"\x03", random),
            lambda: _masked(0x88, b"\x03\xed", random),
            lambda: _masked(0x88, b"\x03\xe8\xff", random),
            lambda: b"\x81\x05naked",
            lambda: _masked(0x81, b"w" * (MAX_BYTES + 1), random),
            lambda: b"\x81\xff" + (1 << 63).to_bytes(8) + b"\0\0\0\0",
            lambda: b"\x81\xfe\x00\x03\0\0\0\0abc",  # longer than need be
            lambda: b"\x81\xff" + (3).to_bytes(8) + b"\0\0\0\0abc",
        )
    )()


def _masked(first: int, payload: bytes, random: Random) -> bytes:
    size, mask = len(payload), random.randbytes(4)
    head = bytes((first, 0x80 | size)) if size < 126 else struct.pack("!BBH", first, 0xFE, size)
    return head + mask + apply_mask(payload, mask)


def _flipped(frames: bytes, random: Random) -> bytes:
    at = random.randrange(len(frames))
    return frames[:at] + bytes((frames[at] ^ 1 << random.randrange(8),)) + frames[at + 1 :]


def cuts(frames: bytes, random: Random) -> list[bytes]:
    """Returns the stream in pieces: one, single bytes, or whatever comes."""
    how = random.random()
    if how < 0.3:
        return [frames]
    if how < 0.4 and len(frames) < 400:
        return [frames[at : at + 1] for at in range(len(frames))]
    places = [random.randrange(len(frames) + 1) for _ in range(random.randint(1, 6))]
    ends = [0, *sorted(places), len(frames)]
    pieces = (frames[start:end] for start, end in pairwise(ends))
    return [piece for piece in pieces if piece]


# ── By the library alone ─────────────────────────────────────────────────────────────────────────


def by_library(frames: bytes) -> Heard:
    """Returns what `websockets` makes of the uncut stream; text is decoded at a message's end."""
    conn, heard = Protocol(SERVER, max_size=MAX_BYTES), Heard()
    conn.receive_data(frames)
    is_text, parts = False, list[bytes]()
    for event in conn.events_received():
        assert isinstance(event, Frame)
        if event.opcode is Opcode.PING:
            heard.pongs.append(bytes(event.data))
        elif event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if event.opcode is not Opcode.CONT:
                is_text, parts = event.opcode is Opcode.TEXT, []
            parts.append(bytes(event.data))
            if not event.fin:
                continue
            try:
                heard.messages.append(b"".join(parts).decode() if is_text else None)
            except UnicodeDecodeError:
                heard.code = CloseCode.INVALID_DATA
                return heard
    if conn.close_sent is not None:
        heard.code = conn.close_sent.code
    return heard


# ── By ours ──────────────────────────────────────────────────────────────────────────────────────


class _KeepingTransport:
    """An asyncio transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self._closing = False

    def write(self, data: bytes) -> None:
        if not self._closing:
            self.written += data

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class _Ears:
    """A sink that keeps the messages."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    def text(self, message: str) -> None:
        self._heard.messages.append(message)

    def binary(self) -> None:
        self._heard.messages.append(None)

    def alive(self) -> None:
        pass

    def drained(self) -> None:
        pass

    def closed(self) -> None:
        pass


class OurPath:
    """Sockets whose application attaches a sink; belongs to a running event loop."""

    def __init__(self) -> None:
        self._config = Config(
            self._accept,
            interface="asgi3",
            proxy_headers=False,
            ws_max_size=MAX_BYTES,
            ws_per_message_deflate=False,
            ws_ping_interval=None,
            lifespan="off",
            log_config=None,
        )
        self._config.load()
        self._state = ServerState()
        self._heard = Heard()

    async def _accept(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        cast("Transport", scope["extensions"][EXTENSION]).attach(_Ears(self._heard))

    async def take(self, pieces: list[bytes]) -> Heard:
        """Returns what a socket makes of a stream that comes in pieces."""
        heard = self._heard = Heard()
        transport = _KeepingTransport()
        socket = GatewayWebSocketProtocol(self._config, self._state, {})
        socket.connection_made(cast("asyncio.Transport", transport))
        socket.data_received(_HANDSHAKE)
        await asyncio.gather(*self._state.tasks)
        for piece in pieces:
            if transport.is_closing():
                break
            socket.data_received(piece)
        socket.connection_lost(None)
        answers = Protocol(CLIENT, state=State.OPEN)
        answers.receive_data(transport.written.partition(b"\r\n\r\n")[2])
        for event in answers.events_received():
            assert isinstance(event, Frame)
            if event.opcode is Opcode.PONG:
                heard.pongs.append(bytes(event.data))
        if answers.close_rcvd is not None:
            heard.code = answers.close_rcvd.code
        return heard


async def first_difference(seed: int, first: int, cases: int) -> str | None:
    """Returns the first of these cases in which the two ways differ; None where none does."""
    ours = OurPath()
    for number in range(first, first + cases):
        random = Random(f"{seed}:{number}")
        frames = stream(random)
        wanted, found = by_library(frames), await ours.take(cuts(frames, random))
        if wanted != found:
            return f"case {number} of seed {seed}, {frames!r}: {wanted} and not {found}"
    return None

"""Frames of RFC 6455 that are common enough to be read and written without the library.

Of a client: a final text frame, masked, whole in the bytes received. Of the server: an unmasked text
frame. Everything else (fragments, control frames, reserved bits, 64-bit lengths, what is broken) is
parsed and answered by `websockets`; tests/gateway/session/test_frames.py holds both ways equal.
"""

from __future__ import annotations

from typing import Final

from websockets.frames import Opcode

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without a compiler
    from websockets.utils import apply_mask

PING: Final = b"\x89\x00"
"""A server's ping without a word."""
_FINAL_TEXT: Final = 0x81
_MASKED: Final = 0x80
_OPCODES: Final = frozenset(Opcode)


def masked_text(data: bytes, at: int, max_bytes: int) -> tuple[bytes, int] | None:
    """Returns the payload of the whole text frame that begins at `at`, unmasked, and its end.

    None where another frame begins there, or one that is not all there, is longer than `max_bytes`
    or needs a 64-bit length.
    """
    size = len(data)
    if size - at < 6 or data[at] != _FINAL_TEXT:
        return None
    length = data[at + 1] - _MASKED
    body = at + 6
    if length == 126:
        if size - at < 8:
            return None
        length = data[at + 2] << 8 | data[at + 3]
        body = at + 8
    elif not 0 <= length < 126:
        return None
    end = body + length
    if end > size or length > max_bytes:
        return None
    return apply_mask(data[body:end], data[body - 4 : body]), end


def size_bytes(data: bytes, at: int) -> int:
    """Returns the size of the client's frame that begins at `at`; 0 while too little is there.

    Of a frame that is broken whatever its size is, the two bytes that show it.
    """
    there = len(data) - at
    if there < 2:
        return 0
    length = data[at + 1] - _MASKED
    if length < 0 or data[at] & 0x0F not in _OPCODES:
        return 2
    if length < 126:
        return 6 + length
    extended = 2 if length == 126 else 8
    if there < 2 + extended:
        return 0
    return 6 + extended + int.from_bytes(data[at + 2 : at + 2 + extended])


class Framer:
    """Writes text frames; a payload that goes to many sockets one after the other is framed once."""

    __slots__ = ("_frame", "_payload")

    def __init__(self) -> None:
        self._payload = b""
        self._frame = text_frame(b"")

    def text_frame(self, payload: bytes) -> bytes:
        """Returns the frame of a payload, the last one where it is the same object."""
        if payload is not self._payload:
            self._frame = text_frame(payload)
            self._payload = payload
        return self._frame


def text_frame(payload: bytes) -> bytes:
    """Returns a WebSocket text message of a server: one unmasked frame (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload

"""Parser of the chunked transfer coding (RFC 9112 §7.1): strict, on bytes without a socket."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, Literal

from gateway.contract import limits

Reason = Literal["framing", "host", "head_too_large", "url_too_long", "version", "handshake"]
"""Why a connection is closed before a request is acted upon, as it is counted."""

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
FIELD_LINE: Final = re.compile(rb"(%b):([\t\x20-\x7e\x80-\xff]*)\r\n" % TOKEN)
_QUOTED: Final = rb'"[\t\x20\x21\x23-\x5b\x5d-\x7e]*"'
_EXTENSION: Final = rb"[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?" % (TOKEN, TOKEN, _QUOTED)
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})((?:%b)*)" % _EXTENSION)
_NOT_BEHIND: Final = {b"content-length", b"transfer-encoding"}
"""Fields that no trailer may hold: a server that heeds them there frames the body differently."""
_LINE_BYTES: Final = 8 + limits.MAX_CHUNK_EXTENSION_BYTES


class Unframed(Exception):
    """Raised where the framing is invalid: the answer to send before the connection is closed."""

    def __init__(self, status: int, detail: str, reason: Reason = "framing") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.reason: Reason = reason


class _Next(Enum):
    """What must come next."""

    SIZE = "the line that leads a chunk"
    CONTENT = "the rest of a chunk"
    LINE_END = "the CRLF behind a chunk"
    TRAILER = "a trailer field, or the empty line that ends the body"


class Chunks:
    """Parser of one chunked body; trailer fields are checked and dropped."""

    __slots__ = ("_excess_bytes", "_extra_bytes", "_left", "_next", "ended")

    def __init__(self) -> None:
        self._next = _Next.SIZE
        self._left = 0
        self._extra_bytes = 0
        self._excess_bytes = 0
        self.ended = False
        """The last chunk and the trailer have been read."""

    def take(self, buffer: bytearray) -> bytes:
        """Takes and returns the body's bytes that the buffer holds; raises `Unframed`."""
        parts: list[bytes] = []
        at = 0
        while not self.ended:
            if self._next is _Next.CONTENT:
                part = bytes(buffer[at : at + self._left])
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                if self._left:
                    break
                self._next = _Next.LINE_END
            line = _line(buffer, at)
            if line is None:
                break
            at += len(line) + 2
            self._line_read(line)
        del buffer[:at]
        return b"".join(parts)

    def _line_read(self, line: bytes) -> None:
        match self._next:
            case _Next.LINE_END:
                if line:
                    raise _malformed()
                self._next = _Next.SIZE
            case _Next.SIZE:
                found = _SIZE_LINE.fullmatch(line)
                if found is None:
                    raise _malformed()
                self._extra(len(found[2]))
                self._left = int(found[1], 16)
                self._weigh(self._left)
                self._next = _Next.CONTENT if self._left else _Next.TRAILER
            case _:
                field = FIELD_LINE.fullmatch(line + b"\r\n")
                if line and (field is None or field[1].lower() in _NOT_BEHIND):
                    raise _malformed()
                self._extra(len(line))
                self.ended = not line

    def _weigh(self, size_bytes: int) -> None:
        """Limits the number of tiny chunks: a chunk costs the same however small it is."""
        tiny = limits.TINY_CHUNK_BYTES
        self._excess_bytes = max(0, self._excess_bytes + tiny - size_bytes)
        if self._excess_bytes > limits.MAX_TINY_CHUNKS * tiny:
            raise _malformed()

    def _extra(self, size_bytes: int) -> None:
        """Limits the bytes beside the body, over all its chunks."""
        self._extra_bytes += size_bytes
        if self._extra_bytes > limits.MAX_CHUNK_EXTENSION_BYTES:
            raise _malformed()


def _line(buffer: bytearray, at: int) -> bytes | None:
    """Returns the line at this place without its CRLF; None until it is complete."""
    end = buffer.find(b"\r\n", at, at + _LINE_BYTES + 2)
    if end < 0:
        if len(buffer) - at >= _LINE_BYTES + 2 or buffer.find(b"\n", at) >= 0:
            raise _malformed()
        return None
    return bytes(buffer[at:end])


def _malformed() -> Unframed:
    return Unframed(400, "The chunked body is malformed.")

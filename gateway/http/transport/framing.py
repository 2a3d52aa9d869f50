"""Parser of HTTP/1.1 request framing (RFC 9112), on bytes without a socket.

Only one reading of a request is ever acted upon: what two servers could frame in two ways raises
`Unframed`, and its connection is closed (RFC 9112 §11.2, request smuggling).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gateway.contract import limits
from gateway.http.transport.chunks import FIELD_LINE, TOKEN, Chunks, Reason, Unframed

_REQUEST_LINE: Final = re.compile(rb"(%b) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])\r\n" % TOKEN)
_FIELD_LINES: Final = re.compile(rb"(?:%b)*" % FIELD_LINE.pattern)
_ABSOLUTE: Final = re.compile(rb"https?://([^/?@]+)(/[^#]*|\?[^#]*)?", re.IGNORECASE)
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_BARE_LF: Final = re.compile(rb"(?:^|[^\r])\n")
_BEGINNING: Final = re.compile(TOKEN)
_LINE_SLACK_BYTES: Final = 32
"""What a request line has beside its target: method, version and blanks."""


class Head(NamedTuple):
    """A request's line and fields, and the delimitation of its body."""

    method: str
    path: bytes
    query: bytes
    version: str
    """1.0 or 1.1."""
    fields: list[tuple[bytes, bytes]]
    """Names in lower case, values without the blanks around them."""
    length: int | None
    """Bytes of the body; None for one that comes in chunks."""
    keeps_alive: bool
    """The client may send another request on this connection."""
    upgrades: bool
    """It asks for a WebSocket."""
    expects_continue: bool
    """The client sends its body only after 100 Continue."""


class Requests:
    """Parser of a connection's requests, in turn: `head`, then `body` while `in_body`."""

    __slots__ = ("_after_blank", "_buffer", "_chunks", "_left", "_seen", "in_body")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._after_blank = False
        self._seen = 0
        self._left = 0
        self._chunks: Chunks | None = None
        self.in_body = False
        """The body of the last head is not complete."""

    @property
    def waiting_bytes(self) -> int:
        """The number of received bytes that were not taken yet."""
        return len(self._buffer)

    @property
    def remaining_bytes(self) -> int | None:
        """The number of the body's bytes that were not taken yet; None for chunks."""
        return None if self._chunks is not None else self._left

    def feed(self, arrived: bytes) -> None:
        """Adds received bytes to the buffer."""
        self._buffer += arrived

    def rest(self) -> bytes:
        """Takes and returns everything behind the last head: after an upgrade it is not HTTP."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def head(self) -> Head | None:
        """Returns the next request's head; None until it is complete; raises `Unframed`."""
        buffer = self._buffer
        if not self._after_blank and buffer.startswith(b"\r\n"):
            # One empty line before a request is a habit of old clients (RFC 9112 §2.2).
            self._after_blank = True
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n", max(0, self._seen - 3))
        if end < 0:
            self._check_part()
            return None
        head = _parsed(bytes(buffer[: end + 2]))
        del buffer[: end + 4]
        self._after_blank = False
        self._seen = 0
        self._left = head.length or 0
        self._chunks = Chunks() if head.length is None else None
        self.in_body = head.length != 0
        return head

    def body(self) -> bytes:
        """Takes and returns the body's bytes received so far; raises `Unframed`."""
        if self._chunks is not None:
            part = self._chunks.take(self._buffer)
            self.in_body = not self._chunks.ended
            return part
        part = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._left -= len(part)
        self.in_body = self._left > 0
        return part

    def _check_part(self) -> None:
        """Refuses early a partial head that is malformed or too long already."""
        buffer = self._buffer
        if not buffer or buffer == b"\r":
            return
        if not _BEGINNING.match(buffer) or _BARE_LF.search(buffer, max(0, self._seen - 1)):
            raise Unframed(400, "This is no HTTP/1.1 request.")
        _check_sizes(bytes(buffer))
        self._seen = len(buffer)


def _parsed(raw: bytes) -> Head:
    """Returns the head in `raw`, whose every line ends with CRLF; raises `Unframed`."""
    _check_sizes(raw)
    line = _REQUEST_LINE.match(raw)
    if line is None:
        raise Unframed(400, "The request line is malformed.")
    method, target, version = line.groups()
    if version not in (b"1.1", b"1.0"):
        raise Unframed(505, "This server speaks HTTP/1.1.", "version")
    fields, said = _fields(raw, line.end())
    newer = version == b"1.1"
    path, query = _origin_form(method, target, _host(said, newer=newer))
    length = _length(said, newer=newer) if said.keys() & _FRAMING else 0
    options = _tokens(said[b"connection"]) if b"connection" in said else ()
    upgrades = (
        newer and b"upgrade" in options and b"websocket" in _tokens(said.get(b"upgrade", b""))
    )
    if upgrades and (method != b"GET" or length != 0):
        raise Unframed(400, "A WebSocket is asked for by GET, without a body.", "handshake")
    return Head(
        method=method.decode(),
        path=path,
        query=query,
        version=version.decode(),
        fields=fields,
        length=length,
        keeps_alive=newer and b"close" not in options,
        upgrades=upgrades,
        expects_continue=(
            newer and length != 0 and said.get(b"expect", b"").lower() == b"100-continue"
        ),
    )


_FRAMING: Final = {b"content-length", b"transfer-encoding"}
_SINGLE: Final[dict[bytes, Reason]] = {
    b"host": "host",
    b"content-length": "framing",
    b"transfer-encoding": "framing",
    b"authorization": "framing",
    b"content-type": "framing",
    b"idempotency-key": "framing",
}
"""Fields of which a second one makes the request doubtful, and what is counted then: a proxy may have
looked at the other one."""
_HEARD: Final = frozenset({*_SINGLE, b"connection", b"upgrade", b"expect"})
"""The fields that are looked at here."""


def _check_sizes(raw: bytes) -> None:
    """Refuses a head, or the beginning of one, that is over the size limits."""
    line_bytes = raw.find(b"\r\n")
    if line_bytes < 0:
        line_bytes = len(raw)
    if line_bytes > limits.MAX_URL_BYTES + _LINE_SLACK_BYTES:
        raise Unframed(414, f"A URL has at most {limits.MAX_URL_BYTES} bytes.", "url_too_long")
    if len(raw) > limits.MAX_HEAD_BYTES:
        raise _too_large(f"The head of a request has at most {limits.MAX_HEAD_BYTES} bytes.")
    if raw.count(b"\r\n") > limits.MAX_HEADERS + 1:
        raise _too_large(f"A request has at most {limits.MAX_HEADERS} header fields.")
    if len(raw) > limits.MAX_HEADER_LINE_BYTES and any(
        len(line) > limits.MAX_HEADER_LINE_BYTES for line in raw.split(b"\r\n")
    ):
        raise _too_large(f"A header line has at most {limits.MAX_HEADER_LINE_BYTES} bytes.")


def _too_large(detail: str) -> Unframed:
    return Unframed(431, detail, "head_too_large")


def _fields(raw: bytes, at: int) -> tuple[list[tuple[bytes, bytes]], dict[bytes, bytes]]:
    """Returns every field from `at` on, and those in `_HEARD` by name, lists joined.

    Folded lines, blanks before the colon and stray controls are no fields.
    """
    if not _FIELD_LINES.fullmatch(raw, at):
        raise Unframed(400, "A header line is malformed.")
    fields: list[tuple[bytes, bytes]] = []
    said: dict[bytes, bytes] = {}
    for name, value in FIELD_LINE.findall(raw, at):
        lower, stripped = name.lower(), value.strip(b" \t")
        fields.append((lower, stripped))
        if lower in _HEARD:
            if lower not in said:
                said[lower] = stripped
            elif lower in _SINGLE:
                raise Unframed(400, f"{lower.decode()} appears twice.", _SINGLE[lower])
            else:
                said[lower] += b", " + stripped
    return fields, said


def _host(said: dict[bytes, bytes], *, newer: bool) -> bytes | None:
    """Returns the one Host; only HTTP/1.0 may leave it out (RFC 9112 §3.2)."""
    host = said.get(b"host")
    if host is None and not newer:
        return None
    if host is None or not _HOST.fullmatch(host):
        raise Unframed(400, "A request names exactly one Host.", "host")
    return host


def _origin_form(method: bytes, target: bytes, host: bytes | None) -> tuple[bytes, bytes]:
    """Returns path and query of a target (RFC 9112 §3.2); a whole URL must name the Host."""
    if target == b"*" and method == b"OPTIONS":
        return target, b""
    if not target.startswith(b"/"):
        whole = _ABSOLUTE.fullmatch(target)
        if method == b"CONNECT" or whole is None or (host or b"").lower() != whole[1].lower():
            raise Unframed(400, "The target of the request is malformed.")
        target = whole[2] or b"/"
        if target.startswith(b"?"):
            target = b"/" + target
    if b"#" in target:
        raise Unframed(400, "The target of the request is malformed.")
    if len(target) > limits.MAX_URL_BYTES:
        raise Unframed(414, f"A URL has at most {limits.MAX_URL_BYTES} bytes.", "url_too_long")
    path, _, query = target.partition(b"?")
    return path, query


def _length(said: dict[bytes, bytes], *, newer: bool) -> int | None:
    """Returns the bytes of the body, None for chunks (RFC 9112 §6.3)."""
    announced = said.get(b"content-length")
    coding = said.get(b"transfer-encoding")
    if coding is not None:
        if announced is not None or not newer or coding.lower() != b"chunked":
            raise Unframed(400, "A body has a Content-Length or is chunked, and nothing else.")
        return None
    if announced is None:
        return 0
    if not _LENGTH.fullmatch(announced):
        raise Unframed(400, "Content-Length is not a number.")
    return int(announced)


def _tokens(value: bytes) -> list[bytes]:
    """Returns the members of a comma-separated list, in lower case."""
    return [word.strip(b" \t") for word in value.lower().split(b",")]

"""Framing without a socket: however bytes arrive, and whoever else reads them, a request is the same."""

from __future__ import annotations

from typing import Any

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway import limits
from gateway.http.chunks import Unframed
from gateway.http.framing import Requests

Read = tuple[str, bytes, bytes]
"""Method, target and body."""

LINES = (
    [
        b"GET / HTTP/1.1",
        b"POST /a?b=c HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET http://hx/a HTTP/1.1",
    ],
    [b"POST /a HTTP/1.0", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b"CONNECT hx:1 HTTP/1.1", b""],
)
FRAMED = (
    [(b"X: 1", b""), (b"Content-Length: 3", b"abc"), (b"content-length:\t03", b"abc"),
     (b"Content-Length: 29", b"GET /b HTTP/1.1\r\nHost: hx\r\n\r\n"),
     (b"Transfer-Encoding: chunked", b"3;x=y\r\nabc\r\n01\r\nd\r\n0\r\nX: 1\r\n\r\n"),
     (b"transfer-encoding:CHUNKED", b"0\r\n\r\n")],
    [(b"Content-Length: 3, 3", b"abc"), (b"Content-Length : 3", b"abc"),
     (b"Content-Length: +3", b"abc"), (b"Transfer-Encoding: chunked, gzip", b"0\r\n\r\n"),
     (b"Transfer-Encoding:\x0bchunked", b"0\r\n\r\n"), (b"Transfer-Encoding: x", b"abc"),
     *((b"Transfer-Encoding: chunked", body) for body in (
         b"3\nabc\n0\n\n", b"3 \r\nabc\r\n0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n",
         b"3\r\nabcd\r\n0\r\n\r\n", b"3;\nabc\r\n0\r\n\r\n", b"-1\r\n", b"0\r\nGET / HTTP/1.1\r\n\r\n"))],
)  # fmt: skip
FIELDS = (
    [b"Upgrade: h2c", b"Connection: Upgrade", b"Connection: close", b"Expect: 100-continue",
     b"X: \xff", b"Y:", b"Upgrade: h2c, foo"],
    [b"Content-Length: 11", b"Transfer-Encoding: chunked", b" folded: 1", b"X\x00: 1", b"Host: hx",
     b"Upgrade: websocket"],
)  # fmt: skip
ENDS = ([b"\r\n"], [b"\n", b"\r", b"\r\r\n", b" \r\n"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A few requests, of which about every other one has something doubtful."""

    def one(choices: tuple[list[Any], list[Any]], odds: int = 12) -> Any:
        usual = draw(st.integers(0, odds)) > 0
        return draw(st.sampled_from(choices[0] if usual else choices[1]))

    stream = b""
    for _ in range(draw(st.integers(1, 3))):
        framing, body = one(FRAMED)
        fields = [framing, b"Host: hx", *(one(FIELDS) for _ in range(draw(st.integers(0, 2))))]
        lines = [one(LINES), *draw(st.permutations(fields)), b""]
        stream += b"".join(line + one(ENDS, odds=40) for line in lines) + body
    return stream


def ours(arriving: list[bytes]) -> tuple[list[Read], bool]:
    """The complete requests, and whether the connection was refused."""
    requests, read, last = Requests(), list[Read](), False
    reading: tuple[str, bytes, bytes] | None = None
    try:
        for part in arriving:
            requests.feed(part)
            while True:
                if reading is not None:
                    method, target, body = reading
                    reading = (
                        method,
                        target,
                        body + (requests.body() if requests.in_body else b""),
                    )
                    if requests.in_body:
                        break
                    read.append(reading)
                    reading = None
                    if last:
                        return read, False
                head = requests.head()
                if head is None:
                    break
                target = head.path + (b"?" + head.query if head.query else b"")
                reading = (head.method, target, b"")
                last = head.upgrades or not head.keeps_alive
    except Unframed:
        return read, True
    return read, False


def theirs(raw: bytes) -> list[Read]:
    """The complete requests as h11 reads them, up to what it refuses."""
    connection, read = h11.Connection(h11.SERVER), list[Read]()
    method, target, body = "", b"", b""
    connection.receive_data(raw)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                method, target, body = event.method.decode(), bytes(event.target), b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                read.append((method, target.removeprefix(b"http://hx"), body))
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return read
                connection.start_next_cycle()
            else:
                return read
    except h11.ProtocolError:
        return read


@given(streams())
@settings(max_examples=250, deadline=None)
@example(
    b"POST / HTTP/1.1\r\nHost: hx\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc"
)
def test_whatever_is_accepted_another_strict_reader_reads_alike(raw: bytes) -> None:
    """Request by request: where both accept, they agree where it ends; we accept no more than h11."""
    read, _ = ours([raw])
    assert read == theirs(raw)[: len(read)]


@given(streams(), st.lists(st.integers(1, 40), max_size=12))
@settings(max_examples=80, deadline=None)
def test_it_does_not_matter_how_bytes_arrive(raw: bytes, sizes: list[int]) -> None:
    """At once, in pieces or one by one: the same requests, the same refusal."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(raw[at : at + size])
        at += size
    whole = ours([raw])
    assert ours([*pieces, raw[at:]]) == whole
    assert ours([bytes([byte]) for byte in raw]) == whole


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.binary(max_size=40))
def test_a_chunked_body_is_its_chunks_and_not_a_byte_more(
    chunks: list[bytes], behind: bytes
) -> None:
    """Whatever they hold; what follows stays for the next request."""
    requests = Requests()
    coded = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    requests.feed(b"POST / HTTP/1.1\r\nHost: hx\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert requests.head() is not None
    assert requests.remaining_bytes is None
    requests.feed(coded + b"0\r\n\r\n" + behind)
    assert requests.body() == b"".join(chunks)
    assert not requests.in_body
    assert requests.rest() == behind


def test_a_length_counts_down() -> None:
    """So that the rest of a body can be weighed before it comes."""
    requests = Requests()
    requests.feed(b"POST / HTTP/1.1\r\nHost: hx\r\nContent-Length: 900\r\n\r\n" + b"x" * 300)
    head = requests.head()
    assert head is not None
    assert (head.length, requests.remaining_bytes) == (900, 900)
    assert requests.body() == b"x" * 300
    assert (requests.in_body, requests.remaining_bytes) == (True, 600)


def test_a_chunk_line_has_an_end() -> None:
    """One that goes on and on is refused before it ends."""
    requests = Requests()
    requests.feed(b"POST / HTTP/1.1\r\nHost: hx\r\nTransfer-Encoding: chunked\r\n\r\n")
    requests.head()
    requests.feed(b"1;a=" + b"b" * (limits.MAX_CHUNK_EXTENSION_BYTES + 10))
    with pytest.raises(Unframed):
        requests.body()

"""Framing without a socket: however bytes arrive, and whoever else reads them, a request is the same."""

from __future__ import annotations

from typing import Any

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.contract import limits
from gateway.http.transport.chunks import Unframed
from gateway.http.transport.framing import Requests

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
         b"0\r\nContent-Length: 3\r\n\r\n", b"0\r\nTransfer-Encoding: x\r\n\r\n",
         b"3\r\nabcd\r\n0\r\n\r\n", b"3;\nabc\r\n0\r\n\r\n", b"-1\r\n", b"0\r\nGET / HTTP/1.1\r\n\r\n"))],
)  # fmt: skip
FIELDS = (
    [b"Upgrade: h2c", b"Connection: Upgrade", b"Connection: close", b"Expect: 100-continue",
     b"X: \xff", b"Y:", b"Upgrade: h2c, foo"],
    [b"Content-Length: 11", b"Transfer-Encoding: chunked", b" folded: 1", b"X\x00: 1", b"Host: hx",
     b"Upgrade: websocket"],
)  # fmt: skip
SEPARATORS = [
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b";",
    b",",
    b"+",
    b"_",
    b"0x",
    b"\x85",
]
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
        stream += b"\r\n" * draw(st.sampled_from([0, 0, 0, 0, 1, 2]))
        stream += b"".join(line + one(ENDS, odds=40) for line in lines) + body
    return stream


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Such requests with a few bytes put in, taken out or doubled anywhere."""
    raw = draw(streams())
    for _ in range(draw(st.integers(1, 3))):
        at, size = draw(st.integers(0, len(raw))), draw(st.integers(0, 9))
        put = draw(st.sampled_from([raw[at : at + size], *SEPARATORS, draw(st.binary(max_size=1))]))
        raw = raw[:at] + put + raw[at + draw(st.sampled_from([0, size])) :]
    return raw


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


def _as_read(target: bytes) -> bytes:
    """A target as we keep it: without the Host, and without a query that is empty."""
    return target.removeprefix(b"http://hx").removesuffix(b"?") or b"/"


def theirs(raw: bytes) -> list[Read]:
    """The complete requests as h11 reads them, up to what it refuses.

    An empty line before a request is skipped for it: it refuses each of them.
    """
    read: list[Read] = []
    while True:
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(raw.removeprefix(b"\r\n"))
        method, target, body = "", b"", b""
        try:
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Request):
                    method, target = event.method.decode(), bytes(event.target)
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                else:
                    return read
            connection.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
        except h11.ProtocolError:
            return read
        read.append((method, _as_read(target), body))
        connection.send(h11.EndOfMessage())
        if connection.our_state is not h11.DONE:
            return read
        raw = connection.trailing_data[0]


@given(streams())
@settings(max_examples=250, deadline=None)
@example(
    b"POST / HTTP/1.1\r\nHost: hx\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc"
)
def test_whatever_is_accepted_another_strict_reader_reads_alike(raw: bytes) -> None:
    """Request by request: where both accept, they agree where it ends; we accept no more than h11."""
    read, _ = ours([raw])
    assert read == theirs(raw)[: len(read)]


@pytest.mark.parametrize(
    "examples", [150, pytest.param(5_000, marks=pytest.mark.long)], ids=["few", "many"]
)
def test_damage_makes_no_other_request(examples: int) -> None:
    """Of damaged bytes too we read nothing that h11 reads in another way, or refuses."""

    @given(damaged())
    @settings(max_examples=examples, deadline=None)
    def read_alike(raw: bytes) -> None:
        read, refused = ours([raw])
        assert read == theirs(raw)[: len(read)]
        assert ours([bytes([byte]) for byte in raw]) == (read, refused)

    read_alike()


@pytest.mark.parametrize("pieces", [1, 2, 80])
@pytest.mark.parametrize(("blank", "requests"), [(b"\r\n", 2), (b"\r\n\r\n", 1)])
def test_one_empty_line_is_skipped_before_a_request(
    blank: bytes, requests: int, pieces: int
) -> None:
    """A second one is refused, also when it arrives by itself."""
    raw = (b"GET / HTTP/1.1\r\nHost: hx\r\n\r\n" + blank) * 2
    size = -(-len(raw) // pieces)
    read, refused = ours([raw[at : at + size] for at in range(0, len(raw), size)])
    assert (len(read), refused) == (requests, requests == 1)


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


def test_chunks_may_not_all_be_tiny() -> None:
    """A chunk costs the same whatever it holds; large ones earn no small ones."""
    head = b"POST / HTTP/1.1\r\nHost: hx\r\nTransfer-Encoding: chunked\r\n\r\n"
    mean = limits.TINY_CHUNK_BYTES
    large, tiny = b"%X\r\n%b\r\n" % (2**20, b"a" * 2**20), b"%X\r\n%b\r\n" % (1, b"a")
    usual = b"%X\r\n%b\r\n" % (mean, b"a" * mean)
    for count, refused in ((limits.MAX_TINY_CHUNKS, False), (limits.MAX_TINY_CHUNKS * 2, True)):
        assert ours([head + large + tiny * count + usual * 9 + b"0\r\n\r\n"])[1] is refused

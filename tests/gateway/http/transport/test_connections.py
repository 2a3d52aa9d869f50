"""One connection, byte by byte: where requests end, what is refused, and how long anything may take."""

from __future__ import annotations

import asyncio

import pytest

from gateway.contract import limits
from tests.gateway.http.transport.raw_connection import HANDSHAKE, RawConnection, connected, request
from tests.support.service import Service

ME = request("GET /v1/me")
CHUNKED = "Transfer-Encoding: chunked"
SWITCH = "Connection: Upgrade, HTTP2-Settings"
# What would be the next request if the bytes before it were framed in another way.
NEXT = request("GET /livez", "X-Request-ID: smuggled-1")

DOUBTFUL = {
    "length and chunks": request("POST /v1/tasks", CHUNKED, "Content-Length: 4") + b"0\r\n\r\n",
    "two lengths": request("POST /v1/tasks", "Content-Length: 4", "Content-Length: 40"),
    "one length twice": request("POST /v1/tasks", "Content-Length: 4", "Content-Length: 4"),
    "a list of lengths": request("POST /v1/tasks", "Content-Length: 4, 4"),
    "a signed length": request("POST /v1/tasks", "Content-Length: +4"),
    "a length in hexadecimal": request("POST /v1/tasks", "Content-Length: 0x4"),
    "an empty length": request("POST /v1/tasks", "Content-Length:"),
    "a length with a blank in it": request("POST /v1/tasks", "Content-Length: 1 4"),
    "chunked is not last": request("POST /v1/tasks", f"{CHUNKED}, gzip"),
    "chunked is not alone": request("POST /v1/tasks", "Transfer-Encoding: gzip, chunked"),
    "chunked twice": request("POST /v1/tasks", CHUNKED, CHUNKED),
    "another coding": request("POST /v1/tasks", "Transfer-Encoding: identity"),
    "a coding that is nearly chunked": request("POST /v1/tasks", "Transfer-Encoding: xchunked"),
    "chunks in HTTP/1.0": b"POST /v1/tasks HTTP/1.0\r\nHost: hx\r\n%b\r\n\r\n0\r\n\r\n" % CHUNKED.encode(),
    "bare line feeds": b"GET /v1/me HTTP/1.1\nHost: hx\n\n",
    "one bare line feed": b"GET /v1/me HTTP/1.1\r\nHost: hx\nX: 1\r\n\r\n",
    "a bare carriage return": b"GET /v1/me HTTP/1.1\r\nHost: hx\r\nX: 1\rY: 2\r\n\r\n",
    "a folded line": b"GET /v1/me HTTP/1.1\r\nHost: hx\r\nX: 1\r\n 2\r\n\r\n",
    "a blank before the colon": b"POST /v1/tasks HTTP/1.1\r\nHost: hx\r\nContent-Length : 4\r\n\r\n",
    "a blank before the first field": b"GET /v1/me HTTP/1.1\r\n Host: hx\r\nX: 1\r\n\r\n",
    "a field without a colon": request("GET /v1/me", "Content-Length"),
    "a NUL in a field": request("GET /v1/me", "X: a\0b"),
    "two blanks in the line": b"GET  /v1/me HTTP/1.1\r\nHost: hx\r\n\r\n",
    "no version": b"GET /v1/me\r\nHost: hx\r\n\r\n",
    "a letter that is not ASCII in the path": "GET /v1/mé HTTP/1.1\r\nHost: hx\r\n\r\n".encode(),
    "a fragment": request("GET /v1/me#x"),
    "a tunnel": b"CONNECT hx:443 HTTP/1.1\r\nHost: hx:443\r\n\r\n",
    "another host in the target": request("GET http://other/v1/me"),
    "a user in the target": request("GET http://me@hx/v1/me"),
    "no slash in the target": request("GET v1/me"),
    "a star that is no OPTIONS": request("GET *"),
    "no chunk size": request("POST /v1/tasks", CHUNKED) + b"\r\n",
    "a chunk size that is no number": request("POST /v1/tasks", CHUNKED) + b"xyz\r\n",
    "a signed chunk size": request("POST /v1/tasks", CHUNKED) + b"-1\r\n",
    "a chunk longer than told": request("POST /v1/tasks", CHUNKED) + b"1\r\nabc\r\n0\r\n\r\n",
    "a chunk line ended by a line feed": request("POST /v1/tasks", CHUNKED) + b"1\na\r\n0\r\n\r\n",
    "a line feed in a chunk extension": request("POST /v1/tasks", CHUNKED) + b"1;\nx\r\na\r\n0\r\n\r\n",
    "a trailer that is no field": request("POST /v1/tasks", CHUNKED) + b"0\r\nGET / HTTP/1.1\r\n\r\n",
    "no Host": b"GET /v1/me HTTP/1.1\r\n\r\n",
    "two Hosts": request("GET /v1/me", "Host: hx"),
    "an empty Host": request("GET /v1/me", host=""),
    "two Hosts in one": request("GET /v1/me", host="hx,other"),
    "two tokens": request("GET /v1/me", "Authorization: Bearer a", "Authorization: Bearer b"),
    "two content types": request("POST /v1/tasks", "Content-Type: a/b", "Content-Type: a/b"),
    "two keys": request("POST /v1/tasks", "Idempotency-Key: a", "Idempotency-Key: b"),
    "a Host with a path": request("GET /v1/me", host="hx/v1"),
    "two Hosts in HTTP/1.0": b"GET /v1/me HTTP/1.0\r\nHost: hx\r\nHost: hx\r\n\r\n",
    "a WebSocket with a body": b"GET /ws HTTP/1.1\r\nHost: hx\r\nContent-Length: 4\r\n%b\r\n" % HANDSHAKE,
    "a WebSocket in chunks": b"GET /ws HTTP/1.1\r\nHost: hx\r\n%b\r\n%b\r\n" % (CHUNKED.encode(), HANDSHAKE),
    "a WebSocket by POST": b"POST /ws HTTP/1.1\r\nHost: hx\r\n%b\r\n" % HANDSHAKE,
    "a handshake of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}  # fmt: skip


@pytest.mark.parametrize("sent", DOUBTFUL.values(), ids=DOUBTFUL)
async def test_what_can_be_framed_in_two_ways_is_answered_400_and_closed(
    service: Service, sent: bytes
) -> None:
    """Once, as a problem document, and nothing behind it is ever a request."""
    async with connected(service.url) as wire:
        answer = await wire.ask(sent + NEXT)
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.body["request_id"] == answer.headers["x-request-id"]
        assert await wire.ends() == b""


@pytest.mark.parametrize(
    "upgrade", ["h2c", "H2C", "TLS/1.0", "h2c, foo", "websocket2", ""], ids=lambda name: name or "-"
)
async def test_another_upgrade_is_ignored_and_its_body_stays_a_body(
    service: Service, upgrade: str
) -> None:
    """One call with a body that looks like a request is one call, and it does what it says."""
    poster = await service.user("poster")
    token = f"Authorization: Bearer {poster.token}"
    fields = (token, SWITCH, f"Upgrade: {upgrade}", "HTTP2-Settings: AAMAAABk", "Expect: nothing")
    body = b'{"time_zone": "Europe/Paris"}'
    async with connected(service.url) as wire:
        sent = request("PATCH /v1/me", *fields, "Content-Type: application/json", body=body)
        assert (await wire.ask(sent)).body["time_zone"] == "Europe/Paris"
        hidden = request("POST /v1/tasks", *fields, body=NEXT)
        assert (await wire.ask(hidden)).status == 415
        await wire.send(hidden[: -len(NEXT)])
        await asyncio.sleep(0.02)  # so that the body is a packet of its own
        assert (await wire.ask(NEXT)).status == 415
        assert (await wire.ask(NEXT)).body == {"status": "ok"}


async def test_what_has_one_reading_is_read_so(service: Service) -> None:
    """Whole URLs, chunks with extensions and trailers, an empty line before, many at once."""
    token = f"Authorization: Bearer {(await service.user()).token}"
    chunks = b'a;a=b;c\r\n{"time_zon\r\n000a ; d="e;f"\r\ne":"Asia/T\r\n6;g\r\nokyo"}\r\n0;h\r\nX: 5\r\nY:\r\n\r\n'
    sent = (
        request("GET http://HX/livez")
        + b"\r\n"
        + request("GET https://hx?x=1", "X-Request-ID: whole-url")
        + request("PATCH /v1/me", token, "Content-Type: application/json", CHUNKED)
        + chunks
        + request("OPTIONS *")
        + request("HEAD /livez")
        + request("GET /livez", host="[::1]:80")
    )
    for size in (len(sent), 7, 1):
        async with connected(service.url) as wire:
            await wire.send(*(sent[at : at + size] for at in range(0, len(sent), size)))
            assert (await wire.answer()).body == {"status": "ok"}
            assert (await wire.answer()).headers["x-request-id"] == "whole-url"
            assert (await wire.answer()).body["time_zone"] == "Asia/Tokyo"
            assert (await wire.answer()).status == 404
            head = await wire._reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert (await wire.answer()).body == {"status": "ok"}


async def test_http_1_0_needs_no_host_and_ends_with_its_answer(service: Service) -> None:
    """It may not upgrade either (RFC 9110 §7.8)."""
    async with connected(service.url) as wire:
        assert (await wire.ask(b"GET /livez HTTP/1.0\r\n\r\n")).status == 200
        assert await wire.ends() == b""
    async with connected(service.url) as wire:
        answer = await wire.ask(b"GET /ws HTTP/1.0\r\n%b\r\n" % HANDSHAKE)
        assert answer.status == 426


async def test_another_version_is_told_so(service: Service) -> None:
    """505, also for the preface of HTTP/2."""
    for sent in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/3.0\r\nHost: hx\r\n\r\n"):
        async with connected(service.url) as wire:
            assert (await wire.ask(sent)).status == 505
            assert await wire.ends() == b""


# ── Sizes ────────────────────────────────────────────────────────────────────────────────────────


def _url(size: int) -> bytes:
    return request("GET /livez?" + "x" * (size - len("/livez?")))


def _line(size: int) -> bytes:
    return request("GET /livez", "X: " + "y" * (size - 3))


def _fields(count: int) -> bytes:
    return request("GET /livez", *["X: y"] * (count - 1))


def _head(size: int) -> bytes:
    filler = ["X: " + "y" * 7_997] * 4
    short = len(request("GET /livez", *filler, "X: ")) - 2
    return request("GET /livez", *filler, "X: " + "y" * (size - short))


@pytest.mark.parametrize(
    ("sent", "limit", "status", "reason"),
    [
        (_url, limits.MAX_URL_BYTES, 414, "url_too_long"),
        (_line, limits.MAX_HEADER_LINE_BYTES, 431, "head_too_large"),
        (_fields, limits.MAX_HEADERS, 431, "head_too_large"),
        (_head, limits.MAX_HEAD_BYTES, 431, "head_too_large"),
    ],
)
async def test_each_size_is_served_at_its_limit_and_refused_beyond(
    service: Service, sent: object, limit: int, status: int, reason: str
) -> None:
    """For calls and for handshakes; counted, answered, closed."""
    assert callable(sent)
    closings = service.parts.metrics.requests._connections_refused.labels(reason)
    async with connected(service.url) as wire:
        assert (await wire.ask(sent(limit))).status == 200
    before = closings._value.get()
    more = sent(limit + 1)
    for refused in (more, more[:-2] + HANDSHAKE + b"\r\n"):
        async with connected(service.url) as wire:
            assert (await wire.ask(refused)).status == status
            assert await wire.ends() == b""
    assert closings._value.get() == before + 2


@pytest.mark.parametrize(
    ("beginning", "status"),
    [(b"GET /", 414), (b"GET /livez HTTP/1.1\r\nX: ", 431), (b"GET /livez HTTP/1.1\r\n", 431)],
)
async def test_an_endless_head_is_refused_before_it_ends(
    service: Service, beginning: bytes, status: int
) -> None:
    """However it goes on."""
    filler = b"X: y\r\n" if beginning.endswith(b"\r\n") else b"x"
    async with connected(service.url) as wire:
        answer = await wire.ask(beginning + filler * (40_000 // len(filler)))
        assert answer.status == status
        assert await wire.ends() == b""


async def test_what_is_beside_a_chunked_body_is_bounded(service: Service) -> None:
    """Extensions and trailer fields together, over all chunks."""
    for filler in (b"1;a=" + b"b" * 500 + b"\r\nx\r\n", b"0\r\nX: " + b"y" * 5_000 + b"\r\n"):
        async with connected(service.url) as wire:
            head = request("POST /v1/webhooks/stripe", CHUNKED)
            assert (await wire.ask(head + filler * 10)).status in (400, 404)
            await wire.ends()


# ── Answers before the body ──────────────────────────────────────────────────────────────────────


async def test_the_short_rest_of_a_body_is_dropped_and_the_connection_goes_on(
    service: Service,
) -> None:
    """401 comes at once; the rest is not the next request, what follows it is."""
    async with connected(service.url) as wire:
        rest = NEXT * 20
        head = request("POST /v1/tasks", f"Content-Length: {len(rest)}")
        assert (await wire.ask(head)).status == 401
        assert (await wire.ask(rest + NEXT)).body == {"status": "ok"}
        assert (await wire.ask(ME)).status == 401


@pytest.mark.parametrize(
    "fields",
    [
        (f"Content-Length: {limits.MAX_DRAINED_BYTES + 1}",),
        (CHUNKED,),
        ("Content-Length: 10", "Expect: 100-continue"),
    ],
    ids=["long", "of unknown length", "perhaps never sent"],
)
async def test_behind_another_rest_the_connection_is_closed(
    service: Service, fields: tuple[str, ...]
) -> None:
    """The answer says so and arrives; nothing behind it is read as a request."""
    async with connected(service.url) as wire:
        answer = await wire.ask(request("POST /v1/tasks", *fields))
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        await wire.send(NEXT * 50)
        assert await wire.ends() == b""


async def test_a_photo_on_its_way_hears_why_it_is_not_taken(service: Service) -> None:
    """The answer arrives although megabytes follow that nobody reads."""
    async with connected(service.url) as wire:
        size = 10 * 2**20
        await wire.send(request("POST /v1/uploads", f"Content-Length: {size}"), b"x" * size)
        assert (await wire.answer()).status == 401
        assert await wire.ends() == b""


async def test_nobody_is_listened_to_for_ever_after_the_answer(hasty: Service) -> None:
    """Neither slow drops nor a flood hold the connection."""
    for drop in (b"x", b"x" * 2**20):
        async with connected(hasty.url) as wire:
            assert (await wire.ask(b"no request\r\n\r\n")).status == 400
            async with asyncio.timeout(20):
                await _drip(wire, drop)


async def test_who_asks_first_is_told_to_go_on(service: Service) -> None:
    """100 Continue once the body is wanted, then the answer; the connection goes on."""
    poster = await service.user("poster")
    token = f"Authorization: Bearer {poster.token}"
    async with connected(service.url) as wire:
        fields = (token, "Content-Type: application/json", "Expect: 100-continue")
        await wire.send(request("PATCH /v1/me", *fields, "Content-Length: 19"))
        assert (await wire.answer()).status == 100
        assert (await wire.ask(b'{"time_zone":"UTC"}')).status == 200
        assert (await wire.ask(NEXT)).body == {"status": "ok"}


async def test_who_sends_no_more_is_still_answered(service: Service) -> None:
    """Every complete request, a long poll at once; what is cut off never is one."""
    token = f"Authorization: Bearer {(await service.user()).token}"
    poll = request("GET /v1/events?after=0&wait=25", token)
    body = b'{"time_zone": "Asia/Tokyo"}'
    patch = request("PATCH /v1/me", token, "Content-Type: application/json", body=body)
    for cut in (b"", b"GET /livez HT", patch[:-1]):
        async with connected(service.url) as wire:
            await wire.send(request("GET /v1/me", token) + patch + poll + cut)
            wire._writer.write_eof()
            assert (await wire.answer()).status == 200
            assert (await wire.answer()).body["time_zone"] == "Asia/Tokyo"
            assert (await wire.answer()).body["events"] == []
            assert await wire.ends() == b""


# ── Time ─────────────────────────────────────────────────────────────────────────────────────────


async def _drip(wire: RawConnection, part: bytes) -> None:
    """Sends a byte now and then until the other side has had enough."""
    try:
        while True:
            await wire.send(part)
            await asyncio.sleep(0.1)
    except (ConnectionError, OSError):
        return


@pytest.mark.parametrize(
    ("sent", "drip", "status", "reason"),
    [
        (b"", b"", None, "silent"),
        (b"GET /livez HT", b"", 408, "slow_head"),
        (b"GET /livez HTTP/1.1\r\n", b"X: y\r\n", 408, "slow_head"),
        (request("POST /v1/webhooks/stripe", CHUNKED) + b"2\r\na", b"", 408, "slow_body"),
        (request("PATCH /v1/me", "Content-Length: 90") + b"{", b" ", 408, "slow_body"),
    ],
)
async def test_a_client_that_does_not_go_on_is_given_up(
    hasty: Service, sent: bytes, drip: bytes, status: int | None, reason: str
) -> None:
    """Silent, stopped or dripping: answered where a request had begun, counted, closed."""
    hustler = await hasty.user()
    sent = sent.replace(b"Host: hx", f"Host: hx\r\nAuthorization: Bearer {hustler.token}".encode())
    closings = hasty.parts.metrics.requests._connections_refused.labels(reason)
    before = closings._value.get()
    hasty.parts.stripe_webhook._secrets = ("whsec_1",)
    async with connected(hasty.url) as wire:
        await wire.send(sent)
        dripping = asyncio.create_task(_drip(wire, drip)) if drip else None
        if status is not None:
            assert (await wire.answer()).status == status
        assert await wire.ends() == b""
        if dripping is not None:
            await dripping
    assert closings._value.get() == before + 1


async def test_a_head_in_line_feeds_is_refused_at_once(hasty: Service) -> None:
    """400, not 408: nothing that comes can make it a request."""
    for sent in (b"GET / HTTP/1.1\nHost: hx\n\n", b"\n", b"GET / HTTP/1.1\r\nHost: hx\n", b"\x80"):
        async with connected(hasty.url) as wire:
            assert (await wire.ask(sent)).status == 400


async def test_who_only_looks_whether_the_port_answers_is_not_counted(hasty: Service) -> None:
    """A connection that its client closed is nobody's fault, and nothing waits for it."""
    silent = hasty.parts.metrics.requests._connections_refused.labels("silent")
    before = silent._value.get()
    async with connected(hasty.url):
        pass
    await asyncio.sleep(0.5)
    assert silent._value.get() == before


async def test_an_idle_connection_is_kept_for_its_time_and_then_closed(hasty: Service) -> None:
    """The time begins anew with each answer."""
    async with connected(hasty.url) as wire:
        for _ in range(3):
            assert (await wire.ask(NEXT)).status == 200
            await asyncio.sleep(0.3)
        assert await wire.ends() == b""


async def test_who_takes_nothing_of_the_answer_is_cut(hasty: Service) -> None:
    """Requests without end whose answers nobody reads hold neither memory nor connection."""
    closings = hasty.parts.metrics.requests._connections_refused.labels("slow_reader")
    before = closings._value.get()
    async with connected(hasty.url) as wire:
        sending = asyncio.create_task(_drip(wire, request("GET /openapi.json") * 40))
        async with asyncio.timeout(20):
            await sending
    assert closings._value.get() == before + 1


def test_the_service_never_closes_before_its_proxies() -> None:
    """nginx, HAProxy and Caddy keep idle connections for 60 s."""
    assert limits.KEEP_ALIVE_S > 60

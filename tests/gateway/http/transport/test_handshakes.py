"""Handshakes that are none, floods before and after them, and the end of the service among them."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from gateway.contract import limits
from gateway.identity.rates import BAD_TOKEN
from tests.gateway.http.transport.raw_connection import HANDSHAKE, connected, request
from tests.support.paths import ROOT
from tests.support.service import Client, Service, running

KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"


def _asked(handshake: bytes, *fields: str) -> bytes:
    return request("GET /ws", *fields)[:-2] + handshake + b"\r\n"


BROKEN = {
    "version 8": (_asked(HANDSHAKE.replace(b": 13", b": 8")), 426),
    "two versions": (_asked(HANDSHAKE + VERSION), 426),
    "no version": (_asked(HANDSHAKE.replace(VERSION, b"")), 426),
    "two protocols": (_asked(HANDSHAKE.replace(b"websocket", b"websocket, h2c")), 426),
    "a short key": (_asked(HANDSHAKE.replace(b"AAAA==", b"==")), 400),
    "a key that is no base64": (_asked(HANDSHAKE.replace(b"AA==", b"A-==")), 400),
    "two keys": (_asked(HANDSHAKE + KEY), 400),
    "no key": (_asked(HANDSHAKE.replace(KEY, b"")), 400),
    "two origins": (_asked(HANDSHAKE, "Origin: http://hx", "Origin: http://hx"), 400),
    "a length in many zeros": (_asked(HANDSHAKE.replace(b": 13", b": 8"), "Content-Length: 00"), 426),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "status"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_handshake_is_answered_counted_and_closed(
    service: Service, sent: bytes, status: int
) -> None:
    """A problem document; 426 names the protocol and the version that are spoken here."""
    refused = service.parts.metrics.requests._refusals.labels("VALIDATION_ERROR", "", "socket")
    before = refused._value.get()
    async with connected(service.url) as wire:
        answer = await wire.ask(sent)
        assert answer.status == answer.body["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"
        if status == 426:
            assert answer.headers["upgrade"] == "websocket"
            assert answer.headers["sec-websocket-version"] == "13"
        assert "close" in answer.headers["connection"]
        assert await wire.ends() == b""
    assert refused._value.get() == before + 1


@pytest.mark.parametrize(
    "sent",
    [
        request("GET /ws"),
        request("GET /ws", "Connection: Upgrade"),
        request("GET /ws", "Upgrade: websocket"),
        request("GET /ws", "Connection: Upgrade", "Upgrade: h2c"),
    ],
)
async def test_the_socket_without_a_handshake_is_426(service: Service, sent: bytes) -> None:
    """And the connection goes on: it was a call like any other."""
    async with connected(service.url) as wire:
        answer = await wire.ask(sent)
        assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
        assert answer.headers["connection"] == "Upgrade"
        assert (await wire.ask(request("GET /livez"))).status == 200


async def test_no_socket_opens_anywhere_else(service: Service) -> None:
    """404 as for a call, and closed."""
    for path in ("/", "/v1/me", "/ws/", "/nowhere"):
        async with connected(service.url) as wire:
            sent = request(f"GET {path}")[:-2] + HANDSHAKE + b"\r\n"
            answer = await wire.ask(sent)
            assert (answer.status, answer.body["code"]) == (404, "NOT_FOUND")
            assert await wire.ends() == b""


async def test_frames_behind_a_handshake_are_not_lost(service: Service) -> None:
    """An eager client's first message arrives with it."""
    ping = Frame(Opcode.TEXT, json.dumps({"type": "NONSENSE"}).encode()).serialize(mask=True)
    async with connected(service.url) as wire:
        await wire.send(_asked(HANDSHAKE) + ping)
        assert (await wire.answer()).status == 101
        received = await wire._reader.readuntil(b"}}")
        assert b"VALIDATION_ERROR" in received


@pytest.mark.parametrize(
    ("frame", "received"),
    [
        (Frame(Opcode.PING, b"HTTP/1.1 200 OK"), b"\x8a\x0fHTTP/1.1 200 OK"),
        (Frame(Opcode.CLOSE, (1000).to_bytes(2)), b"\x88\x02\x03\xe8"),
        (Frame(Opcode.CONT, b""), (1002).to_bytes(2)),
    ],
    ids=["ping", "close", "broken"],
)
async def test_nothing_overtakes_the_answer_to_a_handshake(
    service: Service, frame: Frame, received: bytes
) -> None:
    """Whatever stands behind it in the same packet: first 101, or the refusal and nothing more."""
    sent = frame.serialize(mask=True)
    async with connected(service.url) as wire:
        await wire.send(_asked(HANDSHAKE) + sent)
        assert (await wire.answer()).status == 101
        async with asyncio.timeout(5):
            await wire._reader.readuntil(received)
    async with connected(service.url) as wire:
        await wire.send(_asked(HANDSHAKE, "Origin: http://other") + sent)
        assert (await wire.answer()).status == 403
        assert await wire.ends() == b""


async def test_the_service_ends_cleanly_among_the_broken(
    database_dsn: str, owner_dsn: str, valkey_url: str, tmp_path: Path
) -> None:
    """Whatever stands half open, stopped or refused: the end takes no longer, and raises nothing."""
    lingering = [sent for sent, _ in BROKEN.values()]
    half = [b"", b"GET /ws HT", request("POST /v1/tasks", "Content-Length: 9") + b"{", HANDSHAKE]
    long_ = [_asked(HANDSHAKE, "X: " + "y" * 9_000), _asked(HANDSHAKE, *["X: y"] * 130)]
    open_ = [_asked(HANDSHAKE), request("GET /livez")]
    async with running(
        database_dsn, owner_dsn, valkey_url, tmp_path, HX_TRUSTED_PROXIES="127.0.0.1"
    ) as service:
        wires = [connected(service.url) for _ in range(len(lingering + half + long_ + open_))]
        for opening, sent in zip(wires, lingering + half + long_ + open_, strict=True):
            await (await opening.__aenter__()).send(sent)
        await asyncio.sleep(0.05)
    for opening in wires:
        await opening.__aexit__(None, None, None)


# ── Floods ───────────────────────────────────────────────────────────────────────────────────────


def _from(address: str) -> dict[str, str]:
    """A client of its own, as a trusted proxy tells it."""
    return {"X-Forwarded-For": address}


async def _closed(wire: ClientConnection) -> int:
    async with asyncio.timeout(10):
        await wire.wait_closed()
    assert wire.close_code is not None
    return wire.close_code


async def test_one_address_does_not_take_every_place_before_auth(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 for it alone; whoever authenticates or leaves frees the place."""
    monkeypatch.setattr(limits, "MAX_UNAUTHENTICATED_PER_ADDRESS", 2)
    crowd, other = _from("198.51.100.1"), _from("198.51.100.2")
    first = await connect(service.ws_url, additional_headers=crowd)
    async with connect(service.ws_url, additional_headers=crowd) as second:
        with pytest.raises(InvalidStatus) as refused:
            await connect(service.ws_url, additional_headers=crowd)
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "1"
        async with connect(service.ws_url, additional_headers=other):
            pass
        token = (await service.user()).token
        assert (await Client(second).ask("AUTH", {"token": token}))["type"] == "WELCOME"
        async with connect(service.ws_url, additional_headers=crowd):
            await first.close()
        async with connect(service.ws_url, additional_headers=crowd):
            pass


async def test_an_address_that_shows_bad_tokens_waits_for_its_answers(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond its bucket: RATE_LIMITED and 4200, late; a good token from there is welcome at once."""
    monkeypatch.setattr(limits, "BAD_AUTH_WAITS_S", 0.4)
    here, address = _from("2001:db8::7"), "2001:db8::1"
    async with connect(service.ws_url, additional_headers=here) as wire:
        await Client(wire).say("AUTH", {"token": "x.y.z"})
        assert await _closed(wire) == 4100
    rates = service.parts.rates
    while rates._take(BAD_TOKEN, "2001:db8::/64") == 0.0:
        pass
    began = asyncio.get_running_loop().time()
    async with connect(service.ws_url, additional_headers=here) as wire:
        await Client(wire).say("AUTH", {"token": "x.y.z"}, ref=1)
        received = json.loads(await wire.recv())["data"]
        assert (received["code"], received["retryable"]) == ("RATE_LIMITED", True)
        assert await _closed(wire) == 4200
    assert asyncio.get_running_loop().time() - began >= 0.3
    hustler = await service.user()
    async with connect(service.ws_url, additional_headers=here) as wire:
        assert (await Client(wire).ask("AUTH", {"token": hustler.token}))["type"] == "WELCOME"
    answers = {}
    for source in (address, "2001:db8:1::1"):
        headers = {"Authorization": "Bearer x.y.z", **_from(source)}
        answers[source] = (await service.http.get("/v1/me", headers=headers)).status_code
    assert answers == {address: 429, "2001:db8:1::1": 401}


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG, Opcode.CONT])
async def test_a_flood_of_frames_without_a_message_ends_the_socket(
    service: Service, opcode: Opcode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4200; as many as the burst allows are answered, and the socket goes on."""
    monkeypatch.setattr(limits, "CLOSE_WITHIN_S", 0.2)
    burst = int(limits.CONTROL[1])
    begins = Frame(Opcode.TEXT, b"", fin=False).serialize(mask=True)
    frame = Frame(opcode, b"", fin=opcode is not Opcode.CONT).serialize(mask=True)
    for count, ends in ((burst, False), (burst * 40, True)):
        async with connected(service.url) as wire:
            await wire.send(_asked(HANDSHAKE))
            assert (await wire.answer()).status == 101
            if opcode is Opcode.CONT:
                await wire.send(begins)
            await wire.send(frame * count)
            if ends:
                received = await wire.ends()
                assert (4_200).to_bytes(2) in received
                assert received.count(b"\x8a\x00") < burst + 10
            elif opcode is not Opcode.CONT:
                await wire.send(Frame(Opcode.TEXT, b"{}").serialize(mask=True))
                assert b"VALIDATION_ERROR" in await wire._reader.readuntil(b"}}")


def test_every_limit_stands_in_the_document() -> None:
    """docs/protocol.md names what gateway/contract/limits.py sets."""
    text = (ROOT / "docs" / "protocol.md").read_text()
    section = text.partition("## Connections")[2].partition("\n## ")[0]
    numbers = {int(number) for number in re.findall(r"\b[0-9]+\b", section.replace(",", ""))}
    for limit in (
        limits.MAX_URL_BYTES,
        limits.MAX_HEADER_LINE_BYTES,
        limits.MAX_HEADERS,
        limits.MAX_HEAD_BYTES // 1024,
        limits.MAX_CHUNK_EXTENSION_BYTES // 1024,
        limits.TINY_CHUNK_BYTES,
        limits.MAX_TINY_CHUNKS,
        limits.MAX_UNREAD_BODY_BYTES // 1024,
        limits.MAX_DRAINED_BYTES // 1024,
        limits.HEAD_WITHIN_S,
        limits.BODY_STALL_S,
        limits.BODY_WITHIN_S,
        limits.ANSWER_STALL_S,
        limits.KEEP_ALIVE_S,
        limits.LINGER_S,
        limits.LINGER_WITHIN_S,
        limits.MAX_LINGER_BYTES // 2**20,
        limits.MAX_UNAUTHENTICATED_PER_ADDRESS,
        limits.BAD_AUTH_WAITS_S,
        BAD_TOKEN.burst,
        *limits.CONTROL,
    ):
        assert limit in numbers, limit

"""The service behind a real nginx and a real HAProxy: nobody reads or sends for somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway.contract import limits
from tests.gateway.http.transport import proxies
from tests.gateway.http.transport.raw_connection import connected, request
from tests.support.service import Client, Service

KINDS = ("nginx", "nginx-careless", "nginx-without-keepalive", "haproxy", "haproxy-careless")
EXAMPLES = ("nginx", "haproxy")
HIDDEN = request("GET /livez", "X-Request-ID: smuggled-1")


@pytest.fixture(scope="module")
async def opened(
    service: Service, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, str]]:
    """The addresses of the proxies that a test has asked for."""
    careless = {
        "nginx-careless": proxies.CARELESS % "keepalive 1;",
        "nginx-without-keepalive": proxies.CARELESS % "",
        "haproxy-careless": "".join(
            line
            for line in proxies.example("haproxy.cfg").splitlines(keepends=True)
            if "del-header Upgrade" not in line and "X-Forwarded-Port" not in line
        ),
    }
    async with AsyncExitStack() as stack:
        addresses = {}
        for kind in KINDS:
            program = proxies.nginx if kind.startswith("nginx") else proxies.haproxy
            example = "nginx.conf" if kind.startswith("nginx") else "haproxy.cfg"
            folder: Path = tmp_path_factory.mktemp(kind)
            addresses[kind] = await stack.enter_async_context(
                program(service.url, folder, careless.get(kind) or proxies.example(example))
            )
        yield addresses


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_hidden_in_a_body_is_never_anybodys(
    service: Service, opened: dict[str, str], kind: str
) -> None:
    """The attacker gets its own answers, and the next caller on the shared connection too."""
    victim, attacker = await service.user(), await service.user()
    token = f"Authorization: Bearer {victim.token}"
    own = f"Authorization: Bearer {attacker.token}"
    for upgrade in ("h2c", "TLS/1.0", "foo"):
        for hidden in (HIDDEN, HIDDEN[:-2] + b"X-Swallow: "):
            fields = ("Connection: Upgrade", f"Upgrade: {upgrade}", own)
            length = f"Content-Length: {len(hidden)}"
            async with connected(opened[kind]) as wire:
                await wire.send(request("PATCH /v1/me", *fields, length))
                await asyncio.sleep(0.02)  # so that the body is a packet of its own
                assert (await wire.ask(hidden)).status == 415
            async with connected(opened[kind]) as wire:
                me = await wire.ask(request("GET /v1/me", token))
                assert me.body["id"] == str(victim.user_id)
            async with connected(opened[kind]) as wire:
                after = await wire.ask(request("GET /v1/me/progress", own))
                assert "xp" in str(after.body)
                assert "id" not in after.body


async def test_an_idle_connection_of_the_proxy_serves_the_next_call(
    service: Service, opened: dict[str, str]
) -> None:
    """Longer than the 5 s that uvicorn keeps one by itself; in every round an answer."""
    poster = await service.user("poster")
    headers = {"Authorization": f"Bearer {poster.token}"}

    async def rounds(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
            for pause_s in (0.0, 5.3):
                await asyncio.sleep(pause_s)
                for _ in range(5):
                    answer = await client.patch("/v1/me", json={"time_zone": "UTC"})
                    assert answer.status_code == 200

    await asyncio.gather(*(rounds(url) for url in opened.values()))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_socket_opens_through_the_proxy_from_the_services_own_page(
    service: Service, opened: dict[str, str], kind: str
) -> None:
    """Whatever the proxy says of host and port; a page of elsewhere is refused."""
    hustler = await service.user()
    url = opened[kind]
    for origin in (url, "https://app.example.com", "capacitor://localhost", None):
        async with connect(_ws(url), origin=origin, compression=None) as wire:  # type: ignore[arg-type]
            client = Client(wire)
            assert (await client.ask("AUTH", {"token": hustler.token}))["type"] == "WELCOME"
    for origin in ("https://elsewhere.example", "capacitor://elsewhere", "null", "file://"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(_ws(url), origin=origin)  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize("kind", EXAMPLES)
async def test_limits_count_the_address_behind_the_proxy(
    service: Service, opened: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One from elsewhere that shows bad tokens, or holds sockets, takes nothing from others."""
    monkeypatch.setattr(limits, "MAX_UNAUTHENTICATED_PER_ADDRESS", 0)
    through = {"X-Forwarded-For": "203.0.113.7, 127.0.0.1"}
    async with httpx.AsyncClient(base_url=opened[kind]) as client:
        # What a client says of itself does not reach the service.
        answers = [await client.get("/v1/me", headers=through) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {401}
    assert ("bad_token", "127.0.0.1") in service.parts.rates._buckets
    assert ("bad_token", "203.0.113.7") not in service.parts.rates._buckets
    with pytest.raises(InvalidStatus) as refused:
        await connect(_ws(opened[kind]))
    assert refused.value.response.status_code == 429


@pytest.mark.parametrize("kind", EXAMPLES)
async def test_figures_are_not_for_the_public(opened: dict[str, str], kind: str) -> None:
    """The example hides /metrics and passes on everything else."""
    async with httpx.AsyncClient(base_url=opened[kind]) as client:
        for spelt in ("/metrics", "/%6detrics", "/metric%73?x=1"):
            assert (await client.get(spelt)).status_code == 404
        assert (await client.get("/readyz")).status_code == 200


def test_the_examples_keep_connections_shorter_than_the_service() -> None:
    """Who closes first is the proxy, in each of them."""
    for name in ("nginx.conf", "haproxy.cfg", "Caddyfile"):
        assert "60s" in proxies.example(name)
    assert limits.KEEP_ALIVE_S > 60


def _ws(url: str) -> str:
    return f"ws://{urlsplit(url).netloc}/ws"

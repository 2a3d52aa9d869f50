"""Who asks behind proxies: what is believed, from whom, and what limits count by."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.identity.client_address import ANY_PORT, Forwarded, counted_as, same_origin

TRUSTED = [ip_network(text) for text in ("127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8")]


async def _seen(peer: str | None, headers: list[tuple[str, str]], kind: str = "http") -> Scope:
    """The scope as the application gets it."""
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        return {}

    async def send(_: Message) -> None:
        pass

    scope: dict[str, Any] = {
        "type": kind,
        "client": None if peer is None else (peer, 5),
        "scheme": "http" if kind == "http" else "ws",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    await Forwarded(app, TRUSTED)(scope, receive, send)
    return seen[0]


@pytest.mark.parametrize(
    ("peer", "fields", "client"),
    [
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7, 10.1.2.3,10.0.0.1"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("127.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("127.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("::ffff:127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("fd00::5", ["203.0.113.7"], "203.0.113.7"),
        # Nobody between us and a client of the inner network.
        ("127.0.0.1", ["10.0.0.9"], "10.0.0.9"),
        ("127.0.0.1", [], "127.0.0.1"),
        # What stands left of an entry that is none may be anybody's.
        ("127.0.0.1", ["198.51.100.1, unknown, 10.0.0.1"], "10.0.0.1"),
        ("127.0.0.1", ["198.51.100.1, unknown"], "127.0.0.1"),
        ("127.0.0.1", [",".join(["203.0.113.7"] + ["10.0.0.1"] * 20)], "10.0.0.1"),
        # Not a proxy of ours.
        ("203.0.113.9", ["127.0.0.1"], "203.0.113.9"),
        ("11.0.0.1", ["198.51.100.1"], "11.0.0.1"),
        ("nonsense", ["198.51.100.1"], "nonsense"),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_the_client_is_the_nearest_that_is_no_proxy_of_ours(
    peer: str, fields: list[str], client: str, kind: str
) -> None:
    """From the right; believed from trusted addresses alone."""
    scope = await _seen(peer, [("X-Forwarded-For", field) for field in fields], kind)
    assert scope["client"][0] == client


@pytest.mark.parametrize(
    ("received", "host", "any_port"),
    [
        ({}, "inner", True),
        ({"Host": "inner:8000"}, "inner:8000", False),
        ({"X-Forwarded-Host": "app.example"}, "app.example", True),
        ({"X-Forwarded-Host": "app.example:8443"}, "app.example:8443", False),
        ({"X-Forwarded-Port": "8443"}, "inner:8443", False),
        ({"X-Forwarded-Host": "[2001:db8::1]", "X-Forwarded-Port": "1"}, "[2001:db8::1]:1", False),
        ({"X-Forwarded-Host": "app.example:1", "X-Forwarded-Port": "2"}, "app.example:1", False),
        ({"X-Forwarded-Port": "x"}, "inner", True),
    ],
)
async def test_host_and_port_are_those_the_client_used(
    received: dict[str, str], host: str, *, any_port: bool
) -> None:
    """As far as the proxy tells them."""
    scope = await _seen("10.0.0.1", [*{"Host": "inner", **received}.items()])
    assert [value for name, value in scope["headers"] if name == b"host"] == [host.encode()]
    assert scope.get("state", {}).get(ANY_PORT, False) is any_port
    unbelieved = await _seen("203.0.113.9", [*{"Host": "inner", **received}.items()])
    assert dict(unbelieved["headers"])[b"host"] == received.get("Host", "inner").encode()
    assert not unbelieved.get("state")


@pytest.mark.parametrize(
    ("kind", "received", "scheme"),
    [
        ("http", "https", "https"),
        ("websocket", "https", "wss"),
        ("websocket", "http", "ws"),
        ("http", "gopher", "http"),
    ],
)
async def test_the_scheme_is_the_one_the_client_used(kind: str, received: str, scheme: str) -> None:
    """TLS ends at the proxy."""
    scope = await _seen("127.0.0.1", [("X-Forwarded-Proto", received)], kind)
    assert scope["scheme"] == scheme


@pytest.mark.parametrize(
    ("origin", "host", "any_port", "same"),
    [
        ("https://app.example", "app.example", False, True),
        ("https://App.Example", "app.example:443", False, True),
        ("http://app.example:80", "app.example", False, True),
        ("http://app.example:8000", "app.example:8000", False, True),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443", False, True),
        ("https://app.example:8443", "app.example", True, True),
        ("https://app.example:8443", "app.example", False, False),
        ("https://app.example", "app.example:80", False, False),
        ("https://app.example.evil", "app.example", True, False),
        ("https://evil", "app.example", True, False),
        ("capacitor://app.example", "app.example", True, False),
        ("null", "", True, False),
        ("https://", "", True, False),
        ("", "", True, False),
    ],
)
def test_an_origin_is_ours_by_name_and_port(
    origin: str, host: str, *, any_port: bool, same: bool
) -> None:
    """Default ports may be left out; a port nobody told is any."""
    scheme, _, authority = origin.partition("://")
    assert same_origin((scheme, authority), host, any_port=any_port) is same


def test_limits_count_a_customer_not_an_address() -> None:
    """One customer has a whole /64 of IPv6; what is no address counts as itself."""
    assert counted_as("203.0.113.7") == counted_as("::ffff:203.0.113.7") == "203.0.113.7"
    assert counted_as("2001:db8::1") == counted_as("2001:db8::ffff") == "2001:db8::/64"
    assert counted_as("2001:db8:0:1::1") != counted_as("2001:db8::1")
    assert counted_as("somebody") == "somebody"

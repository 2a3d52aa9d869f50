"""Cross-site WebSocket hijacking: which origins open a socket, by name, port, scheme and case."""

from __future__ import annotations

import pytest

from gateway.identity.client_address import ANY_PORT
from gateway.identity.origins import Origins

ORIGINS = Origins(("https://app.example.com", "capacitor://localhost"))


@pytest.mark.parametrize(
    ("origin", "scheme", "allowed"),
    [
        (None, "wss", True),
        ("https://hx.example", "wss", True),
        ("HTTPS://HX.Example:443", "wss", True),
        ("https://app.example.com", "wss", True),
        ("https://APP.example.com", "wss", True),
        ("capacitor://localhost", "wss", True),
        # TLS ends at a proxy that does not say so
        ("https://hx.example", "ws", True),
        ("http://hx.example", "ws", True),
        ("http://hx.example", "wss", False),
        ("https://hx.example:8443", "wss", False),
        ("https://app.example.com:8443", "wss", False),
        ("http://app.example.com", "wss", False),
        ("https://hx.example.evil.example", "wss", False),
        ("https://evil.example/https://hx.example", "wss", False),
        ("https://user@hx.example", "wss", False),
        ("https://sub.app.example.com", "wss", False),
        ("https://app.example.com.", "wss", False),
        ("https://app.example.com ", "wss", False),
        ("https://app.example.com, https://evil.example", "wss", False),
        ("wss://hx.example", "wss", False),
        ("file://", "wss", False),
        ("null", "wss", False),
        ("*", "wss", False),
        ("", "wss", False),
    ],
)
def test_only_pages_of_ours_open_a_socket(
    origin: str | None, scheme: str, *, allowed: bool
) -> None:
    """Exactly, whole, and never by a part of a name; no Origin means no browser."""
    headers = [(b"host", b"hx.example")]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    scope = {"type": "websocket", "scheme": scheme, "headers": headers}
    assert ORIGINS.allow(scope) is allowed
    # a proxy that tells no port makes the port of our own name any, and nothing else
    by_port = origin == "https://hx.example:8443"
    assert ORIGINS.allow(scope | {"state": {ANY_PORT: True}}) is (allowed or by_port)

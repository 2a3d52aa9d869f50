"""Middleware that takes client address, scheme and Host from a trusted reverse proxy.

Its `X-Forwarded-…` fields are accepted from the addresses in HX_TRUSTED_PROXIES alone. From there
on the request looks as if the client had come by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_HOPS: Final = 20
"""So many entries of X-Forwarded-For are looked at, from the right."""
ANY_PORT: Final = "any_port"
"""In the scope's state: the proxy forwarded a Host without a port."""
_CLIENT_PREFIX: Final = 64
"""Bits of an IPv6 address that its provider gives a customer as a whole (RFC 6177)."""


class Forwarded:
    """Plain ASGI middleware in front of everything that reads the client's address."""

    def __init__(self, app: ASGIApp, trusted: Iterable[Network] = ()) -> None:
        self.app = app
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Replaces the proxy's address in the scope by the client's, then calls the application."""
        if self._trusted and scope["type"] in ("http", "websocket"):
            peer = _address(scope["client"][0]) if scope.get("client") else None
            if peer is not None and self._trusts(peer):
                self._put_client(scope, peer)
        await self.app(scope, receive, send)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)

    def _put_client(self, scope: Scope, peer: Address) -> None:
        headers = MutableHeaders(scope=scope)
        scope["client"] = (str(self._client(headers, peer)), 0)
        scheme = headers.get("x-forwarded-proto", "").strip().lower()
        if scheme in ("http", "https"):
            socket = scope["type"] == "websocket"
            scope["scheme"] = {"http": "ws", "https": "wss"}[scheme] if socket else scheme
        host = headers.get("x-forwarded-host", "").strip() or headers.get("host", "")
        port = headers.get("x-forwarded-port", "").strip()
        if not _has_port(host):
            if port.isdecimal():
                host = f"{host}:{port}"
            else:
                scope.setdefault("state", {})[ANY_PORT] = True
        headers["host"] = host

    def _client(self, headers: Headers, peer: Address) -> Address:
        """Returns the nearest address that is no trusted proxy; any left of it can be forged."""
        nearest = peer
        hops = ",".join(headers.getlist("x-forwarded-for")).split(",")
        for hop in reversed(hops[-MAX_HOPS:]):
            address = _address(hop)
            if address is None:
                break
            nearest = address
            if not self._trusts(address):
                break
        return nearest


def same_origin(origin: tuple[str, str], host: str, *, any_port: bool) -> bool:
    """Returns whether an origin, as scheme and authority, names this Host.

    A default port may be left out.
    """
    scheme, authority = origin
    name, _, port = _split(authority)
    own_name, _, own_port = _split(host)
    default = {"http": "80", "https": "443"}.get(scheme)
    if not name or default is None or name != own_name:
        return False
    return any_port or (port or default) == (own_port or default)


def counted_as(address: str) -> str:
    """Returns the key for limits by address: of IPv6 the network that one customer has."""
    found = _address(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((found, _CLIENT_PREFIX), strict=False))
    return str(found or address)


def _address(text: str) -> Address | None:
    """Parses an address as proxies write it; None if it is none.

    Bare, with a port, or in brackets; an IPv4 address mapped into IPv6 as IPv4.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _has_port(host: str) -> bool:
    return bool(_split(host)[2])


def _split(authority: str) -> tuple[str, str, str]:
    """Splits an authority into name, colon and port; an IPv6 name keeps its brackets."""
    name, colon, port = authority.rpartition(":")
    if (
        not colon
        or not (port.isdecimal() or not port)
        or (name.startswith("[") and name[-1:] != "]")
    ):
        return authority.lower(), "", ""
    return name.lower(), colon, port

"""Which pages may open a socket: the rule against cross-site WebSocket hijacking.

A browser names the origin of the page in `Origin` and nobody can make it lie; CORS does not hold for
sockets, so the handshake asks. A client that sends none is no browser, and has nothing but its token.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import Scope

from gateway.identity.client_address import ANY_PORT, same_origin


class Origins:
    """The configured origins, and the service's own."""

    def __init__(self, configured: Iterable[str] = ()) -> None:
        self._configured = frozenset(configured)

    def allow(self, scope: Scope) -> bool:
        """Returns whether a handshake comes from one of them, or from no page at all.

        `null` is nobody's, and a page over plain http is not ours where we are reached by https:
        anybody on its way may have written it.
        """
        headers = Headers(scope=scope)
        sent = headers.get("origin")
        if sent is None:
            return True
        origin = sent.lower()
        if origin in self._configured:
            return True
        scheme, _, authority = origin.partition("://")
        if scheme == "http" and scope.get("scheme") == "wss":
            return False
        any_port = scope.get("state", {}).get(ANY_PORT, False)
        return same_origin((scheme, authority), headers.get("host", ""), any_port=any_port)

"""The live map at `/`: the page as it lies in `gateway/pages`, with a token where one may be given.

Only a development service gives one, and only to a browser that asked a loopback address by its own
name and without a go-between: a page elsewhere whose name was bent to point here gets none, nor
does a stranger behind a proxy of this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_SLOT: Final = '<meta name="hx-observer-token" content="">'
_HERE: Final = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
_GO_BETWEEN: Final = ("forwarded", "x-forwarded-", "x-real-ip", "via")


class MapPage:
    """Handler of the page; `observer` makes an admin's token, None where admins bring their own."""

    def __init__(self, observer: Callable[[], str] | None) -> None:
        self._observer = observer
        self._page = files("gateway").joinpath("pages", "map", "map.html").read_text()
        assert _SLOT in self._page

    async def show(self, request: Request) -> Response:
        """The page."""
        asked_here = request.url.hostname in _HERE
        from_here = request.client is not None and request.client.host in _HERE
        passed_on = any(name.startswith(_GO_BETWEEN) for name in request.headers)
        if self._observer is None or passed_on or not (asked_here and from_here):
            return HTMLResponse(self._page)
        filled = _SLOT.replace('""', f'"{escape(self._observer())}"')
        return HTMLResponse(self._page.replace(_SLOT, filled))

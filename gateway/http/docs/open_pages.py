"""The handlers that need no token: health, the machine-readable contracts, the docs page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.kernel import errors
from gateway.contract import asyncapi, problems
from gateway.http.docs import openapi, page
from gateway.http.endpoint import JSON, Endpoint
from gateway.http.parts import Parts

_NAMES: Final = {
    problems.problem_type(kind).removeprefix(problems.TYPE_PREFIX)
    for kind in errors.REGISTRY.values()
}


class OpenPages:
    """Handlers of the open pages; their documents are rendered once."""

    def __init__(self, parts: Parts, endpoints: Sequence[Endpoint]) -> None:
        self._parts = parts
        released = version("hustlexp-live")
        description = openapi.document(endpoints, released)
        if parts.metrics_apart:
            del description["paths"]["/metrics"]
        folder = files("gateway.http.docs")
        style = folder.joinpath("page.css").read_bytes()
        script = folder.joinpath("page.js").read_bytes()
        self.livez = _fixed(b'{"status":"ok"}', JSON)
        self.openapi = _fixed(msgspec.json.encode(description), JSON)
        self.asyncapi = _fixed(msgspec.json.encode(asyncapi.document(released)), JSON)
        self.docs = _fixed(page.render(description, released).encode(), "text/html")
        self.style = _fixed(style, "text/css")
        self.script = _fixed(script, "text/javascript")

    async def readyz(self, _: Request) -> Response:
        """Traffic may come: 200, or 503 with what is missing."""
        readiness = await self._parts.health.readiness()
        return Response(
            msgspec.json.encode(readiness),
            status_code=200 if readiness.ready else 503,
            media_type=JSON,
        )

    async def socket(self, _: Request) -> Response:
        """The WebSocket's path, asked without a handshake."""
        raise problems.upgrade_required()

    async def error(self, request: Request) -> Response:
        """A problem's `type` leads to its explanation."""
        name = request.path_params["name"]
        if name not in _NAMES:
            raise errors.refusal("NOT_FOUND")
        return RedirectResponse(f"/docs#{name}", status_code=303)


def _fixed(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    """Returns the handler of a document that never changes while the process lives."""

    async def document(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return document

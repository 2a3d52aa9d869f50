"""What needs no token: health, metrics, the machine-readable contracts, the docs page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Final

import msgspec
import structlog
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from engine import errors
from gateway import asyncapi, docs_page, openapi, problems
from gateway.http.calls import JSON, Call
from gateway.parts import Parts
from sql.database import DatabaseAway

_NAMES: Final = {
    problems.problem_type(kind).removeprefix(problems.TYPE_PREFIX)
    for kind in errors.REGISTRY.values()
}

log = structlog.get_logger(__name__)


class OpenPages:
    """The handlers; documents are rendered once."""

    def __init__(self, parts: Parts, calls: Sequence[Call]) -> None:
        self._parts = parts
        released = version("hustlexp-live")
        description = openapi.document(calls, released)
        self._openapi = msgspec.json.encode(description)
        self._asyncapi = msgspec.json.encode(asyncapi.document(released))
        self._docs = docs_page.render(description, released)
        self._style = files("gateway").joinpath("docs_page.css").read_bytes()

    async def livez(self, request: Request) -> Response:
        """The process runs and its loop turns."""
        return Response(b'{"status":"ok"}', media_type=JSON)

    async def readyz(self, request: Request) -> Response:
        """Traffic may come: 200, or 503 with what is missing."""
        readiness = await self._parts.health.readiness()
        return Response(
            msgspec.json.encode(readiness),
            status_code=200 if readiness.ready else 503,
            media_type=JSON,
        )

    async def metrics(self, request: Request) -> Response:
        """The Prometheus page; without the database it shows what the process knows itself."""
        try:
            await self._parts.measured.refresh()
        except DatabaseAway:
            log.warning("metrics_without_database")
        return Response(
            self._parts.metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def openapi(self, request: Request) -> Response:
        """The REST contract."""
        return Response(self._openapi, media_type=JSON)

    async def asyncapi(self, request: Request) -> Response:
        """The WebSocket contract."""
        return Response(self._asyncapi, media_type=JSON)

    async def docs(self, request: Request) -> Response:
        """Both, readable."""
        return HTMLResponse(self._docs)

    async def style(self, request: Request) -> Response:
        """The style sheet of the docs page."""
        return Response(self._style, media_type="text/css")

    async def error(self, request: Request) -> Response:
        """A problem's `type` leads to its explanation."""
        name = request.path_params["name"]
        if name not in _NAMES:
            raise errors.refusal("NOT_FOUND")
        return RedirectResponse(f"/docs#{name}", status_code=303)

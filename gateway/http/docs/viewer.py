"""The vendored viewer of the REST calls (Swagger UI), served as it is stored: compressed."""

from __future__ import annotations

import gzip
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

VERSION: Final = "5.35.0"
SCRIPT_URL: Final = f"/docs/swagger-ui-{VERSION}.js"
STYLE_URL: Final = f"/docs/swagger-ui-{VERSION}.css"
_CACHED: Final = "public, max-age=604800, immutable"
"""The version is in the address: what is behind it never changes."""


class Viewer:
    """Handlers of two files of `gateway/pages/swagger_ui`; unpacked for clients without gzip."""

    def __init__(self) -> None:
        folder = files("gateway").joinpath("pages", "swagger_ui")
        self._script = folder.joinpath("swagger-ui-bundle.js.gz").read_bytes()
        self._style = folder.joinpath("swagger-ui.css.gz").read_bytes()

    def routes(self) -> list[Route]:
        """Returns the routes of the two files."""
        return [Route(SCRIPT_URL, self.script), Route(STYLE_URL, self.style)]

    async def script(self, request: Request) -> Response:
        """The program."""
        return _packed(request, self._script, "text/javascript")

    async def style(self, request: Request) -> Response:
        """Its style sheet."""
        return _packed(request, self._style, "text/css")


def _packed(request: Request, content: bytes, media_type: str) -> Response:
    headers = {"Cache-Control": _CACHED, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
    else:
        content = gzip.decompress(content)
    return Response(content, media_type=media_type, headers=headers)

"""CORS: which other origins may call, with refusals as problem documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.contract import problems
from gateway.http.idempotency import REPLAYED_HEADER
from gateway.http.middleware import REQUEST_ID_HEADER
from gateway.metrics.requests import RequestMetrics

MAX_AGE_S: Final = 600


class CrossOrigin(CORSMiddleware):
    """starlette's CORS middleware, refusing with problem documents instead of plain text."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics, origins: Iterable[str]) -> None:
        super().__init__(
            app,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=[REQUEST_ID_HEADER, REPLAYED_HEADER, "Retry-After"],
            max_age=MAX_AGE_S,
        )
        self._metrics = metrics

    def preflight_response(self, request_headers: Headers) -> Response:
        """Returns the answer to a CORS preflight request."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        refusal = problems.Unreadable(answer.status_code, f"{bytes(answer.body).decode()}.")
        self._metrics.refused("rest", refusal.kind)
        for name, value in answer.headers.items():
            if name not in ("content-length", "content-type"):
                refusal.headers[name] = value
        return _RefusalResponse(refusal)


class _RefusalResponse(Response):
    """A problem document that gets the request's id when it is sent."""

    def __init__(self, refusal: problems.Unreadable) -> None:
        super().__init__(status_code=refusal.status)
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the problem document."""
        response = problems.response(self._refusal, scope["state"]["request_id"])
        await response(scope, receive, send)

"""Outermost middleware: request id, access log, metrics, security headers.

Every exception inside becomes a problem document.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.kernel import errors
from gateway.contract import problems
from gateway.metrics.requests import RequestMetrics
from geo.valkey import ValkeyAway
from sql.database import DatabaseAway

REQUEST_ID_HEADER: Final = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Cache-Control": "no-store",
}
"""No inline script or style, nothing from elsewhere, no framing; a response may set its own."""

log = structlog.get_logger(__name__)


class RequestMiddleware:
    """The service's outermost middleware (plain ASGI)."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: RequestMetrics,
        *,
        new_id: Callable[[], str] = lambda: uuid4().hex,
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.app = app
        self._metrics = metrics
        self._new_id = new_id
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes WebSockets through; wraps HTTP requests."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = self._monotonic()
        request_id = self._request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception:
            log.exception("request_failed", request_id=request_id, path=scope["path"])
            if status:
                raise
            response = problems.response(errors.refusal("INTERNAL_ERROR"), request_id)
            self._metrics.refused("rest", errors.kind("INTERNAL_ERROR"))
            await response(scope, receive, sending)
        finally:
            self._note(scope, status, self._monotonic() - began, request_id)

    def _request_id(self, scope: Scope) -> str:
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        return given if _REQUEST_ID.fullmatch(given) else self._new_id()

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        """Logs one line per request without query strings or headers, so never a token."""
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.answered(scope["method"], route, status, seconds)
        log.info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(seconds * 1000, 1),
            request_id=request_id,
        )


def exception_handlers(metrics: RequestMetrics) -> dict[Any, Any]:
    """Returns starlette's handlers that turn each expected exception into a problem document."""

    def answered(refusal: errors.Refusal, request: Request) -> Response:
        metrics.refused("rest", refusal.kind)
        return problems.response(refusal, request.state.request_id)

    async def refused(request: Request, refusal: errors.Refusal) -> Response:
        return answered(refusal, request)

    async def database_away(request: Request, _: DatabaseAway) -> Response:
        metrics.away("postgres")
        return answered(errors.refusal("UNAVAILABLE"), request)

    async def valkey_away(request: Request, _: ValkeyAway) -> Response:
        metrics.away("valkey")
        return answered(errors.refusal("UNAVAILABLE"), request)

    async def http_error(request: Request, error: HTTPException) -> Response:
        return answered(_of_starlette(error), request)

    return {
        errors.Refusal: refused,
        DatabaseAway: database_away,
        ValkeyAway: valkey_away,
        HTTPException: http_error,
    }


def _of_starlette(error: HTTPException) -> errors.Refusal:
    """Returns the refusal of a routing error: no such path (404), no such method (405)."""
    if error.status_code == 404:
        return errors.refusal("NOT_FOUND")
    return problems.Unreadable(error.status_code, error.detail, error.headers)

"""The ASGI application: the URL table inside its middleware."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware

from gateway.http import middleware
from gateway.http.cross_origin import CrossOrigin
from gateway.http.middleware import RequestMiddleware
from gateway.http.parts import Parts
from gateway.identity.client_address import Forwarded
from gateway.server.routes import routes


def create_app(parts: Parts) -> Starlette:
    """Returns the application around opened parts; opens and closes nothing itself."""
    app = Starlette(
        routes=routes(parts),
        middleware=[
            Middleware(Forwarded, trusted=parts.trusted_proxies),
            Middleware(RequestMiddleware, metrics=parts.metrics.requests),
            Middleware(CrossOrigin, metrics=parts.metrics.requests, origins=parts.cors_origins),
        ],
        exception_handlers=middleware.exception_handlers(parts.metrics.requests),
    )
    app.router.redirect_slashes = False
    return app

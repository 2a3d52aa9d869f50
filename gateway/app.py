"""The ASGI application: the URL table inside its border."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from gateway.http import border
from gateway.http.border import Border
from gateway.http.idempotency import REPLAYED_HEADER
from gateway.parts import Parts
from gateway.routes import routes

CORS_MAX_AGE_S = 600


def create_app(parts: Parts) -> Starlette:
    """The application around opened parts; opens and closes nothing itself."""
    app = Starlette(
        routes=routes(parts),
        middleware=[
            Middleware(Border, metrics=parts.metrics),
            Middleware(
                CORSMiddleware,
                allow_origins=list(parts.cors_origins),
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
                expose_headers=[border.REQUEST_ID_HEADER, REPLAYED_HEADER, "Retry-After"],
                max_age=CORS_MAX_AGE_S,
            ),
        ],
        exception_handlers=border.exception_handlers(parts.metrics),
    )
    app.router.redirect_slashes = False
    return app

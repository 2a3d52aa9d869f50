"""The URL table: every path, which roles may call it, and its handler."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from gateway.http import (
    disputes,
    event_stream,
    events,
    live,
    map_page,
    money,
    people,
    photos,
    pricing,
    progress,
    proofs,
    tasks,
)
from gateway.http.docs import open_pages, viewer
from gateway.http.endpoint import Endpoint, endpoint_routes
from gateway.http.metrics_page import MetricsPage
from gateway.http.parts import Parts
from gateway.identity.auth import ANYONE, MAY_POST, MAY_WORK
from gateway.identity.rates import ACCEPT, CODE, LOCATION, PAYOUT_ACCOUNT, TASK_CREATE, UPLOAD
from gateway.server.admin_routes import ADMIN_ENDPOINTS
from gateway.ws.endpoint import Elsewhere

TASK: Final = "/v1/tasks/{task_id:uuid}"
PROPOSAL: Final = f"{TASK}/price-proposals/{{proposal_id:uuid}}"

# fmt: off
ENDPOINTS: Final = (
    Endpoint("POST",   "/v1/tasks",                tasks.create,           MAY_POST, status=201, rate=TASK_CREATE),
    Endpoint("GET",    "/v1/tasks",                tasks.page,             ANYONE),
    Endpoint("GET",    TASK,                       tasks.show,             ANYONE),
    Endpoint("PATCH",  TASK,                       tasks.edit,             MAY_POST),
    Endpoint("POST",   f"{TASK}/fund",             money.fund,             MAY_POST, status=201, resource="tasks"),
    Endpoint("POST",   f"{TASK}/accept",           live.accept,            MAY_WORK, rate=ACCEPT, resource="tasks"),
    Endpoint("POST",   f"{TASK}/arrived",          tasks.arrived,          MAY_WORK),
    Endpoint("POST",   f"{TASK}/start",            tasks.start,            MAY_WORK, rate=CODE),
    Endpoint("POST",   f"{TASK}/release",          tasks.release,          MAY_WORK),
    Endpoint("POST",   f"{TASK}/proofs",           proofs.submit_proof,    MAY_WORK, status=201, rate=CODE, resource="tasks"),
    Endpoint("GET",    f"{TASK}/proofs",           proofs.proofs,          ANYONE,   resource="tasks"),
    Endpoint("POST",   f"{TASK}/approve",          proofs.approve,         MAY_POST, resource="tasks"),
    Endpoint("POST",   f"{TASK}/reject",           proofs.reject,          MAY_POST, resource="tasks"),
    Endpoint("POST",   f"{TASK}/dispute",          disputes.dispute,       ANYONE,   resource="tasks"),
    Endpoint("GET",    f"{TASK}/dispute",          disputes.show_dispute,  ANYONE,   resource="tasks"),
    Endpoint("POST",   f"{TASK}/evidence",         disputes.add_evidence,  ANYONE,   status=201, resource="tasks"),
    Endpoint("POST",   f"{TASK}/price-proposals",  pricing.propose_price,  ANYONE,   status=201, resource="tasks"),
    Endpoint("GET",    f"{TASK}/price-proposals",  pricing.proposals,      ANYONE,   resource="tasks"),
    Endpoint("POST",   f"{PROPOSAL}/accept",       pricing.agree_to_price, ANYONE,   resource="tasks"),
    Endpoint("POST",   f"{PROPOSAL}/decline",      pricing.decline_price,  ANYONE,   resource="tasks"),
    Endpoint("POST",   f"{TASK}/cancel",           tasks.cancel,           MAY_POST),
    Endpoint("POST",   f"{TASK}/broadcast-choice", tasks.choose,           MAY_POST),
    Endpoint("GET",    f"{TASK}/history",          tasks.history,          ANYONE),
    Endpoint("POST",   "/v1/uploads",              photos.upload,          ANYONE,   status=201, rate=UPLOAD, consumes=photos.FILE_BODY),
    Endpoint("GET",    "/v1/photos/{photo_id:uuid}", photos.show,          ANYONE,   produces=photos.MEDIA_TYPES),
    Endpoint("GET",    "/v1/live",                 live.show,              MAY_WORK),
    Endpoint("POST",   "/v1/live",                 live.switch_on,         MAY_WORK),
    Endpoint("DELETE", "/v1/live",                 live.switch_off,        MAY_WORK),
    Endpoint("PUT",    "/v1/live/location",        live.move,              MAY_WORK, status=204, rate=LOCATION),
    Endpoint("GET",    "/v1/offers",               live.offers,            MAY_WORK),
    Endpoint("POST",   "/v1/offers/{broadcast_id:uuid}/response", live.respond, MAY_WORK, rate=ACCEPT),
    Endpoint("GET",    "/v1/payout-account",       money.show,             MAY_WORK, resource="payouts"),
    Endpoint("POST",   "/v1/payout-account",       money.open_account,     MAY_WORK, rate=PAYOUT_ACCOUNT, resource="payouts"),
    Endpoint("GET",    "/v1/events",               events.after,           ANYONE),
    Endpoint("GET",    "/v1/events/stream",        event_stream.stream,    ANYONE,   produces=event_stream.MEDIA_TYPES, resource="events"),
    Endpoint("GET",    "/v1/snapshot",             events.snapshot,        ANYONE,   resource="account"),
    Endpoint("GET",    "/v1/me",                   people.me,              ANYONE,   resource="account"),
    Endpoint("PATCH",  "/v1/me",                   people.edit,            ANYONE,   resource="account"),
    Endpoint("GET",    "/v1/me/progress",          progress.progress,      ANYONE,   resource="account"),
    Endpoint("POST",   "/v1/me/badges/{badge_id:uuid}/shown", progress.badge_shown, ANYONE,   resource="account"),
    *ADMIN_ENDPOINTS,
)
# fmt: on


def routes(parts: Parts) -> list[BaseRoute]:
    """Returns every route of the service: the table's calls, the socket, the open pages."""
    pages = open_pages.OpenPages(parts, ENDPOINTS)
    assets = StaticFiles(packages=[("gateway", "pages/map")])
    return [
        WebSocketRoute("/ws", parts.socket),
        WebSocketRoute("/{elsewhere:path}", Elsewhere(parts.metrics.requests)),
        Route("/ws", pages.socket),
        *endpoint_routes(ENDPOINTS, parts),
        Route("/v1/webhooks/stripe", parts.stripe_webhook.receive, methods=["POST"]),
        Route("/livez", pages.livez),
        Route("/readyz", pages.readyz),
        *([] if parts.metrics_apart else [Route("/metrics", MetricsPage(parts).show)]),
        Route("/openapi.json", pages.openapi),
        Route("/asyncapi.json", pages.asyncapi),
        Route("/docs", pages.docs),
        Route("/docs.css", pages.style),
        Route("/docs.js", pages.script),
        *viewer.Viewer().routes(),
        Route("/errors/{name}", pages.error),
        Route("/", map_page.MapPage(parts.observer).show),
        *(Route(f"/{asset}", assets, methods=["GET"]) for asset in _assets()),
    ]


def _assets() -> list[str]:
    """Returns the paths of the map's files; each is a route, so that any other is not found."""
    return sorted(page.name for page in files("gateway").joinpath("pages", "map").iterdir())

"""The opened parts that the handlers work with, handed down by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp

from engine.admin.stories import Stories
from engine.api.admin import Admin
from engine.api.commands import Commands
from engine.api.queries import Queries
from engine.matching.offer_explanation import OfferExplanations
from engine.money.payout_accounts import Payouts
from engine.photos.uploads import Uploads
from gateway.delivery.bus import Bus
from gateway.delivery.hub import Hub
from gateway.http.cursors import Cursors
from gateway.http.health import Health
from gateway.http.idempotency import Idempotency
from gateway.http.stripe_webhook import StripeWebhook
from gateway.http.upload_slots import UploadSlots
from gateway.identity.auth import Authenticator
from gateway.identity.client_address import Network
from gateway.identity.rates import Rates
from gateway.metrics.db_metrics import DbMetrics
from gateway.metrics.metrics import Metrics
from gateway.tracking.demand import DemandByCell
from gateway.tracking.location_tracker import LocationTracker


@dataclass(frozen=True, slots=True)
class Parts:
    """One instance of each part; no handler uses globals."""

    commands: Commands
    queries: Queries
    uploads: Uploads
    payouts: Payouts
    stripe_webhook: StripeWebhook
    admin: Admin
    stories: Stories
    explanations: OfferExplanations
    demand: DemandByCell
    hub: Hub
    bus: Bus
    location_tracker: LocationTracker
    socket: ASGIApp
    """What serves the WebSocket's path."""
    authenticator: Authenticator
    idempotency: Idempotency
    cursors: Cursors
    rates: Rates
    upload_slots: UploadSlots
    metrics: Metrics
    db_metrics: DbMetrics
    health: Health
    metrics_apart: bool = False
    """Whether /metrics has a port of its own and is not on the public one."""
    observer: Callable[[], str] | None = None
    """Makes the token with which the map shows itself; None outside of development."""
    cors_origins: tuple[str, ...] = ()
    """Exact origins of browsers apps; empty allows none but our own pages."""
    trusted_proxies: tuple[Network, ...] = ()
    """Where the `X-Forwarded-…` fields are accepted; empty for none."""

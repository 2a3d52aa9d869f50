"""What the gateway's handlers work with: the opened parts, handed down by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.commands import Commands
from engine.desk import Desk
from engine.desk_reading import DeskReading
from engine.money.accounts import Payouts
from engine.queries import Queries
from engine.stories import Stories
from engine.tasks.uploads import Uploads
from gateway.delivery.hub import Hub
from gateway.health import Health
from gateway.http.cursors import Cursors
from gateway.http.forwarded import Network
from gateway.http.idempotency import Idempotency
from gateway.http.rates import Rates
from gateway.http.stripe_webhook import StripeWebhook
from gateway.http.upload_slots import UploadSlots
from gateway.identity.auth import Authenticator
from gateway.measured import Measured
from gateway.metrics import Metrics
from gateway.presence.positions import Positions
from gateway.ws.door import Door


@dataclass(frozen=True, slots=True)
class Parts:
    """One of each; nobody looks anything up in globals."""

    commands: Commands
    queries: Queries
    uploads: Uploads
    payouts: Payouts
    stripe_webhook: StripeWebhook
    desk: Desk
    desk_reading: DeskReading
    stories: Stories
    hub: Hub
    positions: Positions
    socket: Door
    authenticator: Authenticator
    idempotency: Idempotency
    cursors: Cursors
    rates: Rates
    upload_slots: UploadSlots
    metrics: Metrics
    measured: Measured
    health: Health
    metrics_apart: bool = False
    """Whether /metrics has a port of its own and is not on the public one."""
    observer: Callable[[], str] | None = None
    """Makes the token with which the map shows itself; None outside of development."""
    cors_origins: tuple[str, ...] = ()
    """Exact origins of browsers apps; empty allows none but our own pages."""
    trusted_proxies: tuple[Network, ...] = ()
    """Where the `X-Forwarded-…` fields are believed; empty believes nobody."""

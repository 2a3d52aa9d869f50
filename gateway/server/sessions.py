"""Opens the parts behind the WebSocket sessions: authentication, tracking, delivery."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from engine.events.changes import ChangeSubscriber
from engine.kernel.batcher import Batcher
from engine.kernel.leases import Lease
from engine.kernel.loops import Loop
from gateway.contract import limits
from gateway.delivery.catchup import Catchup
from gateway.delivery.hub import Hub
from gateway.delivery.missed_events import MissedEvents
from gateway.delivery.snapshots import Snapshots
from gateway.delivery.watches import WatchRights
from gateway.identity.auth import Authenticator
from gateway.identity.minting import dev_issuer
from gateway.identity.rates import Rates
from gateway.metrics.metrics import Metrics
from gateway.observer.city_feed import CityFeed
from gateway.observer.time_scale import time_scale
from gateway.server.engine import Engine
from gateway.settings.groups import Settings
from gateway.tracking.absences import Absences
from gateway.tracking.changes import HustlerChanges
from gateway.tracking.heartbeats import Heartbeats
from gateway.tracking.location_tracker import LocationTracker
from gateway.ws.endpoint import WebSocketEndpoint
from gateway.ws.handlers import MessageHandlers
from gateway.ws.session_opener import SessionOpener


@dataclass(frozen=True, slots=True)
class Sessions:
    """The opened parts behind the sockets; `loops` are their workers, not yet running.

    `change_subscribers` hear of what other transactions changed.
    """

    authenticator: Authenticator
    rates: Rates
    location_tracker: LocationTracker
    endpoint: WebSocketEndpoint
    change_subscribers: tuple[ChangeSubscriber, ...]
    loops: tuple[Loop, ...]


def make_sessions(
    settings: Settings,
    engine: Engine,
    heartbeats: Heartbeats,
    hub: Hub,
    changes: HustlerChanges,
    *,
    metrics: Metrics,
) -> Sessions:
    """Returns the parts behind one process's sockets.

    `changes` collects the hustlers whose LIVE state or task is to be read anew.
    """
    commands, queries = engine.commands, engine.queries
    development = settings.development
    issuers = (*settings.auth.issuers, *([dev_issuer(settings.data_dir)] if development else []))
    accounts = Batcher(
        queries.people.users_for,
        size=limits.ACCOUNT_BATCH,
        window_s=limits.AUTH_WINDOW_S,
        longest_s=limits.AUTH_WINDOW_MAX_S,
    )
    authenticator, rates = Authenticator(issuers, accounts.ask), Rates(time.monotonic)
    location_tracker = LocationTracker(hub, changes, commands, queries, heartbeats=heartbeats)
    catchup = Catchup(hub, queries)
    session_opener = SessionOpener(
        hub=hub,
        authenticator=authenticator,
        snapshots=Snapshots(queries.events),
        missed_events=MissedEvents(queries),
        metrics=metrics.sessions,
        rates=rates,
    )
    handlers = MessageHandlers(
        hub=hub,
        session_opener=session_opener,
        commands=commands,
        queries=queries,
        store=engine.store,
        location_tracker=location_tracker,
    )
    endpoint = WebSocketEndpoint(hub, handlers, metrics.requests, settings.http.origins)
    pace = partial(time_scale, settings.data_dir) if development else None
    return Sessions(
        authenticator,
        rates,
        location_tracker,
        endpoint,
        change_subscribers=(authenticator, catchup, location_tracker),
        loops=(
            hub,
            catchup,
            WatchRights(hub.watches, queries.tasks),
            heartbeats,
            location_tracker,
            Absences(
                commands,
                queries,
                heartbeats.presence,
                heartbeats,
                Lease(engine.store, "absences"),
            ),
            endpoint,
            CityFeed(hub.registry, location_tracker, engine.store, pace),
        ),
    )

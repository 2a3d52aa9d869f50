"""The composition root: every part is opened here, in order, handed down, and closed in reverse."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import SystemRandom

from broadcast.broadcaster import Broadcaster
from engine.kernel.effects import Effects
from engine.kernel.loops import run_loops
from engine.kernel.schema_ledger import schema_ledger
from engine.kernel.wake import Wake
from gateway.delivery.catchup import Catchup
from gateway.delivery.hub import Hub
from gateway.delivery.snapshots import Snapshots
from gateway.http.cursors import Cursors
from gateway.http.health import Health
from gateway.http.idempotency import Idempotency
from gateway.http.parts import Parts
from gateway.http.stripe_webhook import StripeWebhook
from gateway.http.upload_slots import UploadSlots
from gateway.identity.auth import Authenticator
from gateway.identity.minting import dev_issuer, observer_token
from gateway.identity.rates import Rates
from gateway.metrics.db_metrics import DbMetrics
from gateway.metrics.metrics import Metrics
from gateway.metrics.process_metrics import ProcessMetrics
from gateway.observer.city_feed import CityFeed
from gateway.observer.time_scale import time_scale
from gateway.server.code_key import code_key
from gateway.server.engine import open_engine
from gateway.server.payments import OpenMoney, open_money
from gateway.settings.groups import Settings
from gateway.tracking.absences import Absences
from gateway.tracking.changes import HustlerChanges
from gateway.tracking.heartbeats import Heartbeats
from gateway.tracking.location_tracker import LocationTracker
from gateway.ws.endpoint import WebSocketEndpoint
from gateway.ws.handlers import MessageHandlers
from gateway.ws.session_opener import SessionOpener
from geo.presence.presence import Presence
from geo.valkey import open_valkey
from sql.database import Database
from sql.schema_files import read_schema


@asynccontextmanager
async def open_parts(settings: Settings, money_of: OpenMoney = open_money) -> AsyncIterator[Parts]:
    """One process with all roles: gateway, broadcaster, worker; `money_of` opens the provider.

    Raises `sql.database.DatabaseAway` when PostgreSQL cannot be reached at the start, or lets in
    somebody with other rights than hx_app's; losing it or Valkey later only delays.
    """
    development = settings.development
    async with AsyncExitStack() as stack:
        # The servers
        metrics = Metrics()
        database = await Database.open(
            settings.postgres.dsn,
            size=settings.postgres.pool_size,
            statement_cache=settings.postgres.statement_cache,
        )
        stack.push_async_callback(database.close)
        metrics.database.watch(database.use)
        database.waited = metrics.database.waited
        valkey = open_valkey(settings.redis.url)
        stack.push_async_callback(valkey.close)
        presence = Presence(valkey)

        # Who hears of a committed command, and then the engine that commits
        hub = Hub(metrics.sessions)
        broadcaster = Broadcaster(
            database,
            presence,
            hub.cards,
            metrics.broadcasts,
            random=SystemRandom(),
            limits=settings.broadcast.wave_limits(),
        )
        changes, settlements = HustlerChanges(), Wake(lambda applied: applied.settle)
        effects = Effects(
            [hub, changes, broadcaster, settlements], metrics.background_work.subscriber_failed
        )
        engine = await stack.enter_async_context(
            open_engine(
                settings, database, effects, settlements, metrics=metrics, money_of=money_of
            )
        )
        commands, queries, store = engine.commands, engine.queries, engine.store

        # The gateway
        rates = Rates(time.monotonic)
        authenticator = Authenticator(
            (*settings.auth.issuers, *([dev_issuer(settings.data_dir)] if development else [])),
            queries.people,
        )
        snapshots = Snapshots(queries.events)
        heartbeats = Heartbeats(presence)
        location_tracker = LocationTracker(
            hub,
            changes,
            commands,
            queries,
            heartbeats=heartbeats,
        )
        session_opener = SessionOpener(
            hub=hub,
            authenticator=authenticator,
            queries=queries,
            snapshots=snapshots,
            metrics=metrics.sessions,
            rates=rates,
        )
        handlers = MessageHandlers(
            hub=hub,
            session_opener=session_opener,
            commands=commands,
            queries=queries,
            store=store,
            location_tracker=location_tracker,
        )
        websocket_endpoint = WebSocketEndpoint(
            hub, handlers, metrics.requests, settings.http.origins
        )
        idempotency = Idempotency(store)
        parts = Parts(
            commands=commands,
            queries=queries,
            admin=engine.admin,
            stories=engine.stories,
            uploads=engine.uploads,
            payouts=engine.payouts,
            stripe_webhook=StripeWebhook(
                engine.provider_events,
                settings.payments.webhook_secrets,
                livemode=settings.payments.livemode,
                clock=time.time,
            ),
            hub=hub,
            location_tracker=location_tracker,
            socket=websocket_endpoint,
            authenticator=authenticator,
            idempotency=idempotency,
            cursors=Cursors(hashlib.sha256(b"cursors" + code_key(settings)).digest()),
            rates=rates,
            upload_slots=UploadSlots(),
            metrics=metrics,
            db_metrics=DbMetrics(store, metrics, time.monotonic),
            health=Health(
                session=database.session,
                applied=partial(schema_ledger, store),
                expected=read_schema().ledger,
                valkey=valkey.ping,
            ),
            metrics_apart=settings.metrics.port is not None,
            observer=partial(observer_token, settings.data_dir) if development else None,
            cors_origins=settings.http.origins,
            trusted_proxies=settings.http.trusted_proxies,
        )

        # What runs by itself; it ends before the parts are closed
        pace = partial(time_scale, settings.data_dir) if development else None
        loops = (
            *engine.loops,
            broadcaster,
            hub,
            snapshots,
            Catchup(hub, queries, snapshots, changes.heard),
            heartbeats,
            location_tracker,
            Absences(commands, queries, presence, heartbeats),
            websocket_endpoint,
            idempotency,
            CityFeed(hub.registry, location_tracker, store, pace),
            ProcessMetrics(metrics.process.loop_lag, metrics.process.full_collection),
        )
        await stack.enter_async_context(run_loops(loops))
        yield parts

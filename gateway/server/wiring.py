"""The composition root: every part is opened here, in order, handed down, and closed in reverse."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import SystemRandom

from broadcast.broadcaster import Broadcaster
from broadcast.limits import WaveLimits
from engine.admin.commands import Desk
from engine.admin.invariant_verifier import Verifying
from engine.admin.queries import DeskReading
from engine.admin.stories import Stories
from engine.commands import Commands
from engine.kernel.loops import running
from engine.kernel.store import Store
from engine.kernel.timers import Timers
from engine.money.payout_accounts import Payouts
from engine.money.provider_events import ProviderEvents
from engine.money.reconciliation import Reconciling
from engine.money.settlements import Settling
from engine.photos.upload_sweep import UploadSweep
from engine.photos.uploads import Uploads
from engine.queries import Queries
from engine.tasks.codes import CodeBook
from gateway.delivery.catchup import Catchup
from gateway.delivery.hub import Bells, Hub
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
from gateway.metrics.db_metrics import Measured
from gateway.metrics.metrics import Metrics
from gateway.metrics.process_metrics import ProcessFigures
from gateway.observer.city_feed import CityFeed
from gateway.observer.time_scale import pace_of_life
from gateway.server.code_key import code_key
from gateway.server.payments import OpenMoney, open_money
from gateway.server.photo_storage import photo_store
from gateway.settings.groups import Settings
from gateway.tracking.absences import Absences
from gateway.tracking.en_route import EnRoute
from gateway.tracking.heartbeats import Heartbeats
from gateway.tracking.location_tracker import Positions
from gateway.ws.endpoint import Door
from gateway.ws.handlers import Answers
from gateway.ws.session_opener import Joining
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
    async with AsyncExitStack() as stack:
        # Layer 0: the servers
        database = await Database.open(
            settings.postgres.dsn,
            size=settings.postgres.pool_size,
            statement_cache=settings.postgres.statement_cache,
        )
        stack.push_async_callback(database.close)
        valkey = open_valkey(settings.redis.url)
        stack.push_async_callback(valkey.close)
        presence = Presence(valkey)

        # Layer 1: the engine
        metrics = Metrics()
        metrics.pool(database.use)
        database.waited = metrics.database_wait_seconds.observe
        hub = Hub(metrics)
        store = Store(database)
        secret = code_key(settings)
        codes = CodeBook(secret)
        photos = photo_store(settings)
        plan = settings.broadcast.plan()
        money = await stack.enter_async_context(money_of(settings.payments))
        commands = Commands(store, hub, codes, money.payments, plan)
        queries = Queries(store, codes)
        payouts = Payouts(store, hub, money.accounts)
        settling = Settling(store, money.payments, hub, metrics.settlements_waiting)
        reconciling = Reconciling(
            store,
            money.payments,
            hub,
            plan,
            books=money.books,
            payouts=payouts,
            every_s=money.look_every_s or settings.payments.reconcile_s,
        )
        timers = Timers(store, hub, metrics.timer_lag)
        metrics.verify_interval_seconds.set(settings.verify.every_s)
        verifying = Verifying(settings.postgres.dsn, store, metrics, settings.verify.every_s)
        broadcaster = Broadcaster(
            database,
            presence,
            hub,
            metrics,
            random=SystemRandom(),
            limits=WaveLimits(
                tick_s=settings.broadcast.tick_s,
                offers_per_tick=settings.broadcast.offers_per_tick,
                open_offers=settings.broadcast.open_offers,
            ),
        )

        # Layer 2: the gateway
        snapshots = Snapshots(queries)
        catchup = Catchup(hub, queries, snapshots)
        heartbeats = Heartbeats(presence)
        positions = Positions(hub, commands, queries, heartbeats, EnRoute(hub, queries))
        absences = Absences(commands, queries, presence, heartbeats)
        hub.attach(
            Bells(
                started=broadcaster.ring,
                sent=broadcaster.sent,
                settle=settling.ring,
                changed=positions.changed,
                left=positions.left,
            )
        )

        issuers = settings.auth.issuers
        if settings.development:
            issuers = (*issuers, dev_issuer(settings.data_dir))
        authenticator = Authenticator(issuers, queries)
        rates = Rates(time.monotonic)
        answers = Answers(
            hub=hub,
            joining=Joining(
                hub=hub,
                authenticator=authenticator,
                queries=queries,
                snapshots=snapshots,
                metrics=metrics,
                rates=rates,
            ),
            commands=commands,
            queries=queries,
            store=store,
            positions=positions,
        )
        idempotency = Idempotency(store)
        door = Door(hub, answers, metrics, settings.http.origins)
        parts = Parts(
            commands=commands,
            queries=queries,
            uploads=Uploads(store, photos),
            payouts=payouts,
            stripe_webhook=StripeWebhook(
                ProviderEvents(store, hub, plan),
                settings.payments.webhook_secrets,
                livemode=settings.payments.livemode,
                clock=time.time,
            ),
            desk=Desk(store, hub),
            desk_reading=DeskReading(store),
            stories=Stories(store),
            hub=hub,
            positions=positions,
            socket=door,
            authenticator=authenticator,
            idempotency=idempotency,
            cursors=Cursors(hashlib.sha256(b"cursors" + secret).digest()),
            rates=rates,
            upload_slots=UploadSlots(),
            metrics=metrics,
            measured=Measured(store, metrics, time.monotonic),
            health=Health(
                session=database.session,
                applied=queries.migrations_applied,
                expected=read_schema().ledger,
                valkey=valkey.ping,
            ),
            metrics_apart=settings.metrics.port is not None,
            observer=partial(observer_token, settings.data_dir) if settings.development else None,
            cors_origins=settings.http.origins,
            trusted_proxies=settings.http.trusted_proxies,
        )

        pace = partial(pace_of_life, settings.data_dir) if settings.development else None
        # What runs by itself; it ends before the parts are closed
        loops = (
            broadcaster, settling, reconciling, timers, hub, snapshots, catchup, heartbeats,
            positions, absences, door, idempotency, CityFeed(hub, positions, store, pace),
            UploadSweep(store, photos), verifying,
            ProcessFigures(
                metrics.loop_lag_seconds.observe, metrics.full_collection_seconds.observe
            ),
        )  # fmt: skip
        await stack.enter_async_context(running(loops))
        yield parts

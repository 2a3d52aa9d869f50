"""Composition root: opens every part in order, hands it down, and closes in reverse."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from random import SystemRandom

from broadcast.broadcaster import Broadcaster
from engine.admin.processes import Processes
from engine.events.changes import ChangeFeed
from engine.kernel.effects import Effects
from engine.kernel.ids import UserId
from engine.kernel.loops import run_loops
from engine.kernel.schema_ledger import schema_ledger
from engine.kernel.wake import Wake
from engine.matching.offer_explanation import OfferExplanations
from gateway.contract import limits
from gateway.delivery.bus import Bus
from gateway.delivery.bus_messages import Nearby
from gateway.delivery.hub import Hub
from gateway.delivery.peers import Peers
from gateway.delivery.publisher import Publisher
from gateway.http.cursors import Cursors
from gateway.http.health import Health
from gateway.http.idempotency import Idempotency
from gateway.http.parts import Parts
from gateway.http.stripe_webhook import StripeWebhook
from gateway.http.upload_slots import UploadSlots
from gateway.identity.minting import observer_token
from gateway.metrics.db_metrics import DbMetrics
from gateway.metrics.metrics import Metrics
from gateway.metrics.process_metrics import ProcessMetrics
from gateway.server.code_key import code_key
from gateway.server.engine import open_engine
from gateway.server.payments import OpenMoney, open_money
from gateway.server.roles import ProcessRole
from gateway.server.sessions import make_sessions
from gateway.settings.groups import Settings
from gateway.settings.shared import shared_settings
from gateway.tracking.changes import HustlerChanges
from gateway.tracking.demand import DemandByCell
from gateway.tracking.heartbeats import Heartbeats
from geo.presence.presence import Presence
from geo.valkey import open_valkey
from sql.database import Database
from sql.schema_files import read_schema


@asynccontextmanager
async def open_parts(
    settings: Settings, money_of: OpenMoney = open_money, role: ProcessRole = ProcessRole.ALL
) -> AsyncIterator[Parts]:
    """Opens the parts of one process, and runs the loops of its role.

    `money_of` opens the payment provider.

    Raises `sql.database.DatabaseAway` when PostgreSQL cannot be reached at the start, or the login
    has other rights than hx_app's; losing PostgreSQL or Valkey later only delays.
    """
    async with AsyncExitStack() as stack:
        # The servers
        metrics = Metrics()
        database = await Database.open(
            settings.postgres.dsn,
            size=settings.postgres.pool_size,
            statement_cache=settings.postgres.statement_cache,
            warm=True,
        )
        stack.push_async_callback(database.close)
        metrics.database.watch(database.use)
        database.waited = metrics.database.waited
        valkey = open_valkey(settings.redis.url)
        stack.push_async_callback(valkey.close)
        presence = Presence(valkey)

        # Who hears of a committed command, then the engine that commits, then the sessions
        failed = metrics.background_work.subscriber_failed
        bus = Bus(valkey, failed)
        hub, changes = Hub(metrics.sessions, tell=bus.publish), HustlerChanges()
        publisher = Publisher(hub.cards, bus)
        wave_limits = replace(settings.broadcast.wave_limits(), runs=role.broadcasts)
        settlements = Wake(lambda applied: applied.settle)
        broadcaster = Broadcaster(
            database,
            presence,
            publisher,
            metrics.broadcasts,
            random=SystemRandom(),
            limits=wave_limits,
        )
        here = (hub, changes, broadcaster, settlements)
        effects = Effects([*here, publisher], failed)
        opening = open_engine(
            settings,
            database,
            effects,
            settlements,
            first_wave=broadcaster.first_wave,
            metrics=metrics,
            money_of=money_of,
        )
        engine = await stack.enter_async_context(opening)
        sessions = make_sessions(
            settings,
            engine,
            Heartbeats(presence, partial(_entered, broadcaster, bus)),
            hub,
            changes,
            metrics=metrics,
        )

        # Who hears of what any transaction changed
        feed = ChangeFeed(
            engine.store,
            [*sessions.change_subscribers, broadcaster],
            every_s=limits.CATCHUP_EVERY_S,
            failed=failed,
        )
        peers = Peers(bus, hub, broadcaster, Effects(here, failed), feed.ask_now)
        bus.connect(peers)
        metrics.background_work.watch_horizon(feed.age_s)

        # What the routes work with
        idempotency = Idempotency(engine.store)
        parts = Parts(
            commands=engine.commands,
            queries=engine.queries,
            admin=engine.admin,
            stories=engine.stories,
            explanations=OfferExplanations(
                engine.store, presence, wave_limits.profile, wave_limits.open_offers
            ),
            uploads=engine.uploads,
            payouts=engine.payouts,
            stripe_webhook=StripeWebhook(
                engine.provider_events,
                settings.payments.webhook_secrets,
                livemode=settings.payments.livemode,
                clock=time.time,
            ),
            demand=DemandByCell(engine.store, sessions.location_tracker),
            hub=hub,
            bus=bus,
            location_tracker=sessions.location_tracker,
            socket=sessions.endpoint,
            authenticator=sessions.authenticator,
            idempotency=idempotency,
            cursors=Cursors(hashlib.sha256(b"cursors" + code_key(settings)).digest()),
            rates=sessions.rates,
            upload_slots=UploadSlots(),
            metrics=metrics,
            db_metrics=DbMetrics(engine.store, metrics, time.monotonic),
            health=Health(
                session=database.session,
                applied=partial(schema_ledger, engine.store),
                expected=read_schema().ledger,
                valkey=valkey.ping,
            ),
            metrics_apart=settings.metrics.port is not None,
            observer=(partial(observer_token, settings.data_dir) if settings.development else None),
            cors_origins=settings.http.origins,
            trusted_proxies=settings.http.trusted_proxies,
        )

        # What runs by itself; it ends before the parts are closed
        process = ProcessMetrics(metrics.process.loop_lag, metrics.process.full_collection)
        processes = Processes(
            engine.store,
            shared_settings(settings),
            role=role.value,
            release=version("hustlexp-live"),
        )
        loops = (
            *((*engine.loops, idempotency) if role.works else ()),
            *(sessions.loops if role.serves else ()),
            *(broadcaster, bus, peers, feed, process, processes),
        )
        await stack.enter_async_context(run_loops(loops))
        yield parts


def _entered(broadcaster: Broadcaster, bus: Bus, hustlers: Collection[UserId]) -> None:
    """Lets every broadcaster look at hustlers who have come into a cell."""
    broadcaster.wake_hustlers(hustlers)
    if hustlers and bus.has_peers:
        bus.publish(next(iter(hustlers)), Nearby(tuple(hustlers)))

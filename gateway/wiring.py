"""The composition root: every part is opened here, in order, handed down, and closed in reverse."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Protocol

from broadcast.broadcaster import Broadcaster
from broadcast.limits import WaveLimits
from engine.commands import Commands
from engine.money.settling import Settling
from engine.money.simulated import SimulatedPayments
from engine.plan import BroadcastPlan
from engine.queries import Queries
from engine.store import Store
from engine.tasks.codes import CodeBook
from engine.timers import Timers
from gateway.delivery.catchup import Catchup
from gateway.delivery.city_feed import CityFeed
from gateway.delivery.hub import Bells, Hub
from gateway.delivery.snapshots import Snapshots
from gateway.health import Health
from gateway.http.cursors import Cursors
from gateway.http.idempotency import Idempotency
from gateway.http.rates import Rates
from gateway.identity.auth import Authenticator
from gateway.identity.minting import dev_issuer, mint
from gateway.kept_files import kept
from gateway.measured import Measured
from gateway.metrics import Metrics
from gateway.parts import Parts
from gateway.presence.absences import Absences
from gateway.presence.en_route import EnRoute
from gateway.presence.heartbeats import Heartbeats
from gateway.presence.positions import Positions
from gateway.settings import Broadcast, Settings
from gateway.ws.answers import Answers
from gateway.ws.door import Door
from gateway.ws.joining import Joining
from geo.presence import Presence
from geo.valkey import open_valkey
from sql.database import Database
from sql.migrate import migrations


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """One process with all roles: gateway, broadcaster, worker.

    Raises `sql.database.DatabaseAway` when PostgreSQL cannot be reached at the start; losing it or
    Valkey later only delays.
    """
    async with AsyncExitStack() as stack:
        # Layer 0: the servers
        database = await Database.open(settings.postgres.dsn, size=settings.postgres.pool_size)
        stack.push_async_callback(database.close)
        valkey = open_valkey(settings.redis.url)
        stack.push_async_callback(valkey.close)
        presence = Presence(valkey)

        # Layer 1: the engine
        metrics = Metrics()
        hub = Hub(metrics)
        store = Store(database)
        secret = _code_key(settings)
        codes = CodeBook(secret)
        payments = SimulatedPayments()
        commands = Commands(store, hub, codes, payments, _plan(settings.broadcast))
        queries = Queries(store, codes)
        settling = Settling(store, payments, hub, metrics.settlements_waiting)
        timers = Timers(store, hub, metrics.timer_lag)
        broadcaster = Broadcaster(
            database,
            presence,
            hub,
            metrics,
            random=SystemRandom(),
            limits=_wave_limits(settings.broadcast),
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
        answers = Answers(
            hub=hub,
            joining=Joining(hub, authenticator, queries, snapshots, metrics),
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
            hub=hub,
            positions=positions,
            socket=door,
            authenticator=authenticator,
            idempotency=idempotency,
            cursors=Cursors(hashlib.sha256(b"cursors" + secret).digest()),
            rates=Rates(time.monotonic),
            metrics=metrics,
            measured=Measured(store, metrics, time.monotonic),
            health=Health(
                applied=lambda: _applied(store),
                expected=[migration.name for migration in migrations()],
                valkey=valkey.ping,
            ),
            observer=partial(_observer, settings.data_dir) if settings.development else None,
            cors_origins=settings.http.origins,
        )

        # What runs by itself; it ends before the parts are closed
        loops = (
            broadcaster, settling, timers, hub, snapshots, catchup, heartbeats, positions, absences,
            door, idempotency, CityFeed(hub, positions, store),
        )  # fmt: skip
        await stack.enter_async_context(_running(loops))
        yield parts


class _Loop(Protocol):
    async def run(self) -> None: ...


@asynccontextmanager
async def _running(loops: Sequence[_Loop]) -> AsyncIterator[None]:
    """Every loop in one task group while the block runs; a loop that dies ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop.run(), name=type(loop).__name__) for loop in loops]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _applied(store: Store) -> Sequence[str]:
    return [row["name"] for row in await store.rows("migrations_applied")]


def _plan(broadcast: Broadcast) -> BroadcastPlan:
    return BroadcastPlan(
        ttl_s=broadcast.ttl_s,
        initial_radius_miles=broadcast.initial_miles,
        max_radius_miles=broadcast.max_miles,
        expansion_step_miles=broadcast.step_miles,
        expansion_interval_s=broadcast.interval_s,
    )


def _wave_limits(broadcast: Broadcast) -> WaveLimits:
    return WaveLimits(
        tick_s=broadcast.tick_s,
        offers_per_tick=broadcast.offers_per_tick,
        open_offers=broadcast.open_offers,
    )


OBSERVER_S = 600


def _observer(data_dir: Path) -> str:
    """A fresh token for the map of a development service; the page fetches itself a new one."""
    return mint(
        data_dir,
        subject="observer",
        role="admin",
        name="Observer",
        now=time.time(),
        lifetime_s=OBSERVER_S,
    )


CODE_KEY_FILE = "code_key"


def _code_key(settings: Settings) -> bytes:
    """The configured key; in development one that the data folder keeps."""
    if settings.auth.code_key:
        return settings.auth.code_key.encode()
    if not settings.development:
        raise ValueError("HX_CODE_KEY is not set: start and completion codes need a secret key")
    return kept(settings.data_dir / CODE_KEY_FILE, lambda: secrets.token_hex(32).encode())

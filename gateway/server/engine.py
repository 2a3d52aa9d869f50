"""Opens the engine: its commands, its queries, and its background workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from engine.admin.invariant_verifier import InvariantVerifier
from engine.admin.stories import Stories
from engine.api.admin import Admin
from engine.api.commands import Commands
from engine.api.queries import Queries
from engine.kernel.effects import Effects
from engine.kernel.execution import Execution
from engine.kernel.loops import Loop
from engine.kernel.partitions import PartitionKeeper
from engine.kernel.schema_ledger import demand_schema
from engine.kernel.store import Store
from engine.kernel.timers import Timers
from engine.kernel.wake import Wake
from engine.live.broadcast_start import BroadcastStart
from engine.live.first_wave import FirstWave
from engine.money.payout_accounts import Payouts
from engine.money.provider_events import ProviderEvents
from engine.money.reconciliation import Reconciler
from engine.money.settlements import SettlementWorker
from engine.photos.upload_sweep import UploadSweep
from engine.photos.uploads import Uploads
from engine.tasks.codes import CodeBook, TaskCodes
from gateway.metrics.metrics import Metrics
from gateway.server.code_key import code_key
from gateway.server.payments import OpenMoney
from gateway.server.photo_storage import photo_store
from gateway.settings.groups import Settings
from sql.database import Database
from sql.schema_files import read_schema


@dataclass(frozen=True, slots=True)
class Engine:
    """The opened parts of the engine; `loops` are its workers, not yet running."""

    store: Store
    commands: Commands
    queries: Queries
    admin: Admin
    stories: Stories
    uploads: Uploads
    payouts: Payouts
    provider_events: ProviderEvents
    loops: tuple[Loop, ...]


@asynccontextmanager
async def open_engine(  # noqa: PLR0913 - what it opens stands on so many parts
    settings: Settings,
    database: Database,
    effects: Effects,
    settlements: Wake,
    *,
    first_wave: FirstWave,
    metrics: Metrics,
    money_of: OpenMoney,
) -> AsyncIterator[Engine]:
    """Opens the engine on one database; every command's effects go to `effects`.

    `settlements` wakes the settlement worker; `first_wave` finds whom a new broadcast is offered to
    at once; `money_of` opens the payment provider. Raises `sql.database.DatabaseUnfit` where the
    database's schema is not this release's, nor one with newer functions alone.
    """
    store = Store(database)
    await demand_schema(store, read_schema().ledger)
    execution = Execution(store, effects)
    codes = TaskCodes(store, CodeBook(code_key(settings)))
    failed = partial(metrics.broadcasts.failed, "first_wave")
    start = BroadcastStart(store, settings.broadcast.plan(), first_wave, failed)
    photos = photo_store(settings)
    work = metrics.background_work
    metrics.invariants.interval(settings.verify.every_s)
    async with money_of(settings.payments) as money:
        payouts = Payouts(execution, store, money.accounts)
        provider_events = ProviderEvents(execution, store, start)
        yield Engine(
            store=store,
            commands=Commands.open(execution, store, codes, money.payments, start),
            queries=Queries.open(store, codes),
            admin=Admin.open(execution, store),
            stories=Stories(store),
            uploads=Uploads(store, photos),
            payouts=payouts,
            provider_events=provider_events,
            loops=(
                SettlementWorker(
                    execution, store, money.payments, settlements, work.settlements_waiting
                ),
                Reconciler(
                    execution,
                    store,
                    money.payments,
                    provider_events,
                    start,
                    books=money.books,
                    payouts=payouts,
                    every_s=money.look_every_s or settings.payments.reconcile_s,
                ),
                Timers(execution, store, work.timer_lag),
                PartitionKeeper(store),
                UploadSweep(store, photos),
                InvariantVerifier(
                    settings.postgres.dsn, store, metrics.invariants, settings.verify.every_s
                ),
            ),
        )

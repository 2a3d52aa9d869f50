"""Reconciles open payments, legs, payout accounts and missed events with the provider.

Webhooks are quick and may be lost; this finds what they lost. Payments and legs that have begun are
looked up, accounts that held payouts wait for are refreshed, and the provider's events of an
overlapping window are replayed: what was booked already changes nothing. One process does it for
all, several look-ups at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog

from engine.kernel.errors import Refusal
from engine.kernel.execution import Execution
from engine.kernel.lanes import in_lanes
from engine.kernel.leases import Lease
from engine.kernel.loops import Backoff, supervise
from engine.kernel.store import Store
from engine.live.broadcast_start import BroadcastStart
from engine.money.books import ProviderBooks, ProviderEvent
from engine.money.facts import Fact
from engine.money.payout_accounts import Payouts, utc_now
from engine.money.provider import (
    PROVIDER_CALLS_AT_ONCE,
    PROVIDER_TIMEOUT_S,
    LegKind,
    Movement,
    MovementKind,
    PaymentFailed,
    PaymentProvider,
)
from engine.money.provider_events import ProviderEvents
from engine.money.settlements import MAX_ERROR_CHARS, PATIENCE_MS
from sql.database import DatabaseError

log = structlog.get_logger()

BATCH: Final = 100
"""Payments and legs that are looked up in one round, the longest waiting first."""
LOOK_AT_LEAST_EVERY_S: Final = 5.0
"""How long a process that died with a round undone goes unnoticed, at most, beside its lease."""
FIRST_WINDOW: Final = timedelta(days=1)
"""How far back a new process asks for events."""
OVERLAP: Final = timedelta(minutes=10)
"""How much of the last window is asked for again: events appear late in Stripe's list."""
REPLAY_BATCH: Final = 1_000


class OpenPayment(msgspec.Struct, frozen=True):
    """A payment that was begun at the provider and is not booked on its escrow."""

    id: UUID
    payment: str


class BegunLeg(msgspec.Struct, frozen=True):
    """A leg of a settlement that the provider has begun and not finished."""

    id: UUID
    leg: LegKind
    reference: str


class Reconciler:
    """The reconciliation loop; `books` is None for a provider that has none."""

    def __init__(  # noqa: PLR0913  # named in test_structure
        self,
        execution: Execution,
        store: Store,
        payments: PaymentProvider,
        events: ProviderEvents,
        start: BroadcastStart,
        *,
        books: ProviderBooks | None,
        payouts: Payouts,
        every_s: float,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._execution = execution
        self._store = store
        self._payments = payments
        self._start = start
        self._events = events
        self._books = books
        self._payouts = payouts
        self._every_s = every_s
        self._clock = clock
        self._events_until: datetime | None = None
        self._lease = Lease(store, "reconciliation")

    async def run(self) -> None:
        """Runs rounds until cancelled, the first at once: the process before may have crashed."""
        await supervise("reconciling", self._round, backoff=Backoff(min(self._every_s, 5.0)))

    async def _round(self) -> None:
        await self._lease.run(self.sweep, every_s=self._every_s)
        await asyncio.sleep(min(self._every_s, LOOK_AT_LEAST_EVERY_S))

    async def sweep(self) -> int:
        """Runs one round and returns how much was booked; what failed waits for the next."""
        payments = await self._store.rows_as(OpenPayment, "open_payments", BATCH)
        booked = sum(await in_lanes(payments, self._payment, lanes=PROVIDER_CALLS_AT_ONCE))
        legs = await self._store.rows_as(BegunLeg, "begun_legs", BATCH)
        booked += sum(await in_lanes(legs, self._leg, lanes=PROVIDER_CALLS_AT_ONCE))
        booked += await self._payouts.refresh(BATCH)
        if self._books is not None:
            booked += await self._replay(self._books)
        return booked

    async def _payment(self, open_: OpenPayment) -> int:
        async with self._lock_subject(open_.id):
            movement = await self._looked_up("PAYMENT", open_.payment)
            if movement.state == "SUCCEEDED":
                wave = await self._start.wave_of_payment(open_.id, open_.payment)
                return await self._run(
                    "book_funding", open_.id, open_.payment, self._start.plan, wave
                )
        return 0

    async def _leg(self, begun: BegunLeg) -> int:
        async with self._lock_subject(begun.id):
            movement = await self._looked_up(begun.leg, begun.reference)
            if movement.state == "SUCCEEDED":
                return await self._run("book_leg", begun.id, begun.leg, begun.reference)
            if movement.state == "FAILED":
                return await self._run("apply_provider_fact", _failed(begun, movement), None)
        return 0

    async def _replay(self, books: ProviderBooks) -> int:
        began = self._clock()
        since = began - FIRST_WINDOW if self._events_until is None else self._events_until - OVERLAP
        booked = refused = 0
        async with self._lock_subject("events"):
            events = await books.events_since(since)
            for start in range(0, len(events), REPLAY_BATCH):
                batch = events[start : start + REPLAY_BATCH]
                unseen = await self._events.unseen([event.event_id for event in batch])
                for event in batch:
                    if event.event_id in unseen and await self._book(event):
                        booked += 1
                    elif event.event_id in unseen:
                        refused += 1
            if not refused:
                # Else the next round replays the window, with the events that were refused.
                self._events_until = began
        return booked

    async def _book(self, event: ProviderEvent) -> bool:
        """Books one event and returns whether it was booked; a failure is logged."""
        async with self._lock_subject(event.event_id):
            await self._events.book(event.event_id, event.event_type, event.fact)
            return True
        return False

    async def _looked_up(self, kind: MovementKind, reference: str) -> Movement:
        async with asyncio.timeout(PROVIDER_TIMEOUT_S):
            movement = await self._payments.look_up(kind, reference)
        if movement.unknown_status is not None:
            details = msgspec.json.encode({"kind": kind, "reference": reference}).decode()
            await self._store.perform(
                "record_unknown_status", reference, movement.unknown_status, details
            )
        return movement

    async def _run(self, command: str, *args: object) -> int:
        await self._execution.run(command, *args, lock_timeout_ms=PATIENCE_MS)
        return 1

    @asynccontextmanager
    async def _lock_subject(self, subject: object) -> AsyncIterator[None]:
        """Logs the failure of one row, so that the next ones go on; DatabaseAway passes."""
        try:
            yield
        except (PaymentFailed, TimeoutError, Refusal, DatabaseError) as error:
            log.warning("not_reconciled", subject=str(subject), error=repr(error))


def _failed(begun: BegunLeg, movement: Movement) -> str:
    """Returns the fact that a leg has failed, as the provider's own event would say it."""
    fact = Fact(
        "REFUND_FAILED" if begun.leg == "REFUND" else "TRANSFER_REVERSED",
        settlement_id=str(begun.id),
        reference=begun.reference,
        note=(movement.note or f"The {begun.leg.lower()} failed.")[:MAX_ERROR_CHARS],
    )
    return msgspec.json.encode(fact).decode()

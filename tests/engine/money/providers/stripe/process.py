"""A service that can be killed: its worker, webhook and commands, dying at the calls that matter."""

from __future__ import annotations

from collections.abc import Awaitable
from random import Random
from typing import Any, Final, TypeVar
from uuid import UUID

import stripe

from engine.api.commands import Commands
from engine.kernel.effects import Subscriber
from engine.kernel.store import Store
from engine.money.payout_accounts import Payouts
from engine.money.provider import Movement, MovementKind
from engine.money.provider_events import ProviderEvents
from engine.money.providers.stripe import events, signature
from engine.money.providers.stripe.accounts import StripeAccounts
from engine.money.providers.stripe.books import StripeBooks
from engine.money.providers.stripe.payments import StripePayments
from engine.money.reconciliation import Reconciler
from engine.tasks.codes import CodeBook, TaskCodes
from sql.database import Database
from tests.engine.money.providers.stripe.webhook_queue import FIRST_SECRET
from tests.support.market import execution_on, settlement_worker
from tests.support.starts import lone_start

T = TypeVar("T")

BOOKINGS: Final = {
    "begin_funding", "book_funding", "record_payment", "book_leg", "record_leg", "apply_provider_fact",
    "settlement_failed", "hold_settlement", "hold_unpayable", "book_provider_event",
}  # fmt: skip


class Killed(BaseException):
    """kill -9: nothing of ours catches it."""


class Fate:
    """Kills with a probability, before and after whatever it is asked about."""

    def __init__(self, random: Random, probability: float) -> None:
        self.probability = probability
        self._random = random

    async def lived_through(self, deed: Awaitable[T]) -> T:
        """What the deed answers, if nobody dies around it."""
        if self._strikes():
            getattr(deed, "close", lambda: None)()
            raise Killed
        answer = await deed
        if self._strikes():
            raise Killed
        return answer

    def _strikes(self) -> bool:
        return self.probability > 0 and self._random.random() < self.probability


class MortalStore(Store):
    """Dies around the bookings of money."""

    def __init__(self, database: Database, fate: Fate) -> None:
        super().__init__(database)
        self._fate = fate

    async def call(
        self, shape: type[T], function: str, *args: Any, lock_timeout_ms: int | None = None
    ) -> T:
        """As the store does, or death."""
        deed = super().call(shape, function, *args, lock_timeout_ms=lock_timeout_ms)
        return await (self._fate.lived_through(deed) if function in BOOKINGS else deed)

    async def perform(self, function: str, *args: Any, lock_timeout_ms: int | None = None) -> None:
        """As the store does, or death."""
        deed = super().perform(function, *args, lock_timeout_ms=lock_timeout_ms)
        await (self._fate.lived_through(deed) if function in BOOKINGS else deed)


class MortalPayments:
    """Dies around the calls of the provider."""

    def __init__(self, payments: StripePayments, fate: Fate) -> None:
        self._payments = payments
        self._fate = fate

    async def charge(
        self, key: UUID, amount_cents: int, poster: UUID, *, begun: str | None = None
    ) -> Movement:
        """As Stripe does, or death."""
        return await self._fate.lived_through(
            self._payments.charge(key, amount_cents, poster, begun=begun)
        )

    async def transfer(
        self,
        key: UUID,
        account: str | None,
        hustler: UUID,
        amount_cents: int,
        *,
        escrow: UUID,
        payment: str | None,
    ) -> Movement:
        """As Stripe does, or death."""
        return await self._fate.lived_through(
            self._payments.transfer(
                key, account, hustler, amount_cents, escrow=escrow, payment=payment
            )
        )

    async def refund(self, key: UUID, payment: str, amount_cents: int, *, escrow: UUID) -> Movement:
        """As Stripe does, or death."""
        return await self._fate.lived_through(
            self._payments.refund(key, payment, amount_cents, escrow=escrow)
        )

    async def look_up(self, kind: MovementKind, reference: str) -> Movement:
        """As Stripe does, or death."""
        return await self._fate.lived_through(self._payments.look_up(kind, reference))


class Process:
    """One life of the service; its next begins with nothing but the database."""

    def __init__(
        self,
        database: Database,
        sdk: stripe.StripeClient,
        effects: Subscriber,
        codes: CodeBook,
        fate: Fate,
        *,
        test_payment_method: str | None,
    ) -> None:
        self.store = MortalStore(database, fate)
        start = lone_start(self.store)
        payments = MortalPayments(
            StripePayments(sdk, test_payment_method=test_payment_method), fate
        )
        execution = execution_on(self.store, effects)
        self.commands = Commands.open(
            execution, self.store, TaskCodes(self.store, codes), payments, start
        )
        self.worker = settlement_worker(self.store, payments, effects)
        self.payouts = Payouts(execution, self.store, StripeAccounts(sdk))
        self._events = ProviderEvents(execution, self.store, start)
        self.reconciler = Reconciler(
            execution,
            self.store,
            payments,
            self._events,
            start,
            books=StripeBooks(sdk, livemode=False),
            payouts=self.payouts,
            every_s=60.0,
        )

    async def take_letter(self, body: bytes, header: str, now: float) -> None:
        """What the webhook's page does with a delivery."""
        signature.check(body, header, [FIRST_SECRET], now)
        event = events.parse(body)
        fact = events.fact_of(event, livemode=False)
        await self._events.book(event.id, event.type, fact)

"""Executes settlements: provider call first, then the transaction that books its success.

A settlement is claimed before its provider is called, by the database's clock: of any number of
workers one calls at a time, and a killed one keeps nobody waiting for longer than its claim.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Final, Literal
from uuid import UUID

import structlog
from msgspec import Struct

from engine.kernel.errors import Refusal
from engine.kernel.execution import Execution
from engine.kernel.loops import supervise
from engine.kernel.retry_pauses import RetryPauses
from engine.kernel.store import Store
from engine.kernel.wake import Wake
from engine.money.provider import (
    PROVIDER_CALLS_AT_ONCE,
    PROVIDER_TIMEOUT_S,
    LegKind,
    Movement,
    PaymentFailed,
    PaymentProvider,
    PaymentRefused,
)
from sql.database import DatabaseAway, DatabaseError

log = structlog.get_logger()

CLAIM_S: Final = PROVIDER_TIMEOUT_S + 10.0
"""How long a claim lasts: a provider call and its booking. Renewed before a second call."""
POLL_S: Final = 1.0
MAX_ERROR_CHARS: Final = 500
PATIENCE_MS: Final = 50
"""How long a loop that works rows off waits for a row lock."""


class DueSettlement(Struct):
    """A claimed settlement, with what has been booked or has begun of it; amounts in cents."""

    id: UUID
    escrow_id: UUID
    kind: Literal["REFUND", "RELEASE", "SPLIT"]
    release_amount: int
    fee_amount: int
    refund_amount: int
    transfer_reference: str | None
    refund_reference: str | None
    refund_done: bool
    payment: str | None
    hustler_id: UUID | None
    payout_account_id: str | None
    claimed_until: datetime
    """Until when it is this worker's alone, by the database's clock; the proof of the claim."""

    def reference(self, kind: LegKind) -> str | None:
        """Returns the provider's id of a leg that has begun, else None."""
        return self.refund_reference if kind == "REFUND" else self.transfer_reference


class Leg(Struct, frozen=True):
    """One movement of a settlement that has not begun yet."""

    kind: LegKind
    settlement: UUID
    escrow: UUID
    amount_cents: int
    payment: str | None
    hustler: UUID | None
    account: str | None


class SettlementWorker:
    """The loop over due `settlements`: woken after a commit, and polling besides."""

    def __init__(
        self,
        execution: Execution,
        store: Store,
        payments: PaymentProvider,
        wake: Wake,
        waiting: Callable[[int], None],
    ) -> None:
        self._execution = execution
        self._store = store
        self._payments = payments
        self._wake = wake
        self._waiting = waiting
        self._resting: RetryPauses[UUID] = RetryPauses()
        self._busy = 0

    async def run(self) -> None:
        """Executes due settlements until cancelled; losing PostgreSQL only delays."""
        async with asyncio.TaskGroup() as lanes:
            await supervise("settling", partial(self._round, lanes))

    async def _round(self, lanes: asyncio.TaskGroup) -> None:
        await self._wake.wait(POLL_S)
        self._waiting(await self._store.value("settlements_due"))
        for settlement in await self._claimed(PROVIDER_CALLS_AT_ONCE - self._busy):
            lanes.create_task(self._lane(settlement), name=f"settlement {settlement.id}")

    async def _lane(self, settlement: DueSettlement) -> None:
        """Executes this settlement, and then whatever else is due; never raises."""
        self._busy += 1
        try:
            due = [settlement]
            while due:
                await self._settle(due[0])
                due = await self._claimed(1)
        except DatabaseAway as error:
            # The claim ends by itself, and the next round sees to the rest.
            log.warning("settlement_lane_ends", error=str(error))
        except Exception:
            log.exception("settlement_lane_failed", settlement=str(settlement.id))
        finally:
            self._busy -= 1

    async def settle_waiting(self) -> int:
        """Executes all that is due now; returns how many movements were booked.

        A settlement whose rows are locked is paused, and delays no other.
        """
        booked = 0
        while claimed := await self._claimed(PROVIDER_CALLS_AT_ONCE):
            booked += sum(await asyncio.gather(*map(self._settle, claimed)))
        return booked

    async def _claimed(self, count: int) -> list[DueSettlement]:
        if count < 1:
            return []
        return await self._store.rows_as(
            DueSettlement, "claim_settlements", count, CLAIM_S, self._resting.keys()
        )

    async def _settle(self, settlement: DueSettlement) -> int:
        """Executes one claimed settlement; returns how many movements were booked.

        The claim is given back, unless this worker is cancelled: its call may still be on its way.
        """
        try:
            booked = await self._execute(settlement)
            self._resting.done(settlement.id)
        except (Refusal, DatabaseError) as error:
            log.warning("settlement_waits", settlement=str(settlement.id), error=repr(error))
            self._resting.put(settlement.id)
            booked = 0
        await self._store.execute("free_settlement", settlement.id, settlement.claimed_until)
        return booked

    async def _execute(self, settlement: DueSettlement) -> int:
        """Tries every leg, so that one side's failure does not delay the other's payment."""
        booked = 0
        failures: list[PaymentFailed] = []
        for number, step in enumerate(self._steps(settlement)):
            if number and not await self._kept(settlement):
                break  # it is another worker's now
            try:
                booked += await step()
            except PaymentFailed as error:
                log.warning("settlement_failed", settlement=str(settlement.id), error=repr(error))
                failures.append(error)
        if failures:
            await self._failed(settlement, failures)
        return booked

    async def _kept(self, settlement: DueSettlement) -> bool:
        """Claims it for another call; returns False when the claim has ended meanwhile."""
        until = await self._store.value(
            "keep_settlement", settlement.id, settlement.claimed_until, CLAIM_S
        )
        if until is not None:
            settlement.claimed_until = until
        return until is not None

    def _steps(self, settlement: DueSettlement) -> Iterator[Callable[[], Awaitable[int]]]:
        legs = list(missing_legs(settlement))
        for leg in legs:
            yield partial(self._carry_out, leg)
        if not legs:
            # The bank moved the money (a chargeback that was lost): only the booking is missing.
            kind: LegKind = "REFUND" if settlement.refund_done else "TRANSFER"
            yield partial(self._book, settlement.id, kind, settlement.reference(kind))

    async def _failed(self, settlement: DueSettlement, failures: list[PaymentFailed]) -> None:
        said = " ".join(str(error) for error in failures)[:MAX_ERROR_CHARS]
        if not any(isinstance(error, PaymentRefused) for error in failures):
            await self._store.perform(
                "settlement_failed", settlement.id, said, lock_timeout_ms=PATIENCE_MS
            )
        elif settlement.payout_account_id is None and settlement.hustler_id is not None:
            await self._execution.run(
                "hold_unpayable",
                settlement.id,
                settlement.hustler_id,
                said,
                lock_timeout_ms=PATIENCE_MS,
            )
        else:
            await self._store.perform(
                "hold_settlement", settlement.id, said, lock_timeout_ms=PATIENCE_MS
            )

    async def _carry_out(self, leg: Leg) -> int:
        movement = await self._movement(leg)
        if movement.state == "FAILED":
            raise PaymentRefused(movement.note or f"The {leg.kind.lower()} failed.")
        if movement.state == "PENDING":
            await self._store.perform(
                "record_leg",
                leg.settlement,
                leg.kind,
                movement.reference,
                lock_timeout_ms=PATIENCE_MS,
            )
            return 0
        return await self._book(leg.settlement, leg.kind, movement.reference)

    async def _book(self, settlement: UUID, kind: LegKind, reference: str | None) -> int:
        try:
            await self._execution.run(
                "book_leg", settlement, kind, reference, lock_timeout_ms=PATIENCE_MS
            )
        except (Refusal, DatabaseError) as error:
            if isinstance(error, Refusal) and error.kind.retryable:
                # A repeated call returns the same movement, and books it then.
                raise
            # The money moved but the escrow refuses the booking: the settlement is held for
            # an admin, and delays no other.
            raise PaymentRefused(f"{reference} moved but could not be booked: {error}") from error
        return 1

    async def _movement(self, leg: Leg) -> Movement:
        try:
            async with asyncio.timeout(PROVIDER_TIMEOUT_S):
                return await move(self._payments, leg)
        except PaymentFailed:
            raise
        except Exception as error:
            # After any error of a provider's client it is unknown whether money moved: try again.
            raise PaymentFailed(repr(error)) from error


def missing_legs(settlement: DueSettlement) -> Iterator[Leg]:
    """Yields the legs that are neither done nor under way; the poster's part first."""
    wanted: dict[LegKind, int] = {}
    if settlement.kind in ("REFUND", "SPLIT"):
        wanted["REFUND"] = settlement.refund_amount
    if settlement.kind in ("RELEASE", "SPLIT"):
        wanted["TRANSFER"] = settlement.release_amount - settlement.fee_amount
    for kind, amount_cents in wanted.items():
        if settlement.reference(kind) is None:
            yield Leg(
                kind=kind,
                settlement=settlement.id,
                escrow=settlement.escrow_id,
                amount_cents=amount_cents,
                payment=settlement.payment,
                hustler=settlement.hustler_id,
                account=settlement.payout_account_id,
            )


async def move(payments: PaymentProvider, leg: Leg) -> Movement:
    """Returns the movement of a leg, from a provider call; raises PaymentFailed, PaymentRefused."""
    if leg.kind == "TRANSFER":
        if leg.hustler is None:
            raise PaymentRefused("There is no hustler to pay.")
        return await payments.transfer(
            leg.settlement, leg.account, leg.hustler, leg.amount_cents,
            escrow=leg.escrow, payment=leg.payment,
        )  # fmt: skip
    if leg.payment is None:
        raise PaymentRefused("There is no payment to give back.")
    return await payments.refund(leg.settlement, leg.payment, leg.amount_cents, escrow=leg.escrow)

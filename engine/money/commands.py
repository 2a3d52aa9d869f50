"""A poster's commands on the money of a task."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from uuid import UUID

import msgspec

from engine.kernel import errors
from engine.kernel.broadcast_params import StartingTask
from engine.kernel.execution import Execution
from engine.kernel.ids import (
    EscrowId,
    TaskId,
    UserId,
)
from engine.kernel.store import Store
from engine.live.broadcast_start import BroadcastStart
from engine.money.provider import (
    PROVIDER_TIMEOUT_S,
    Movement,
    PaymentFailed,
    PaymentProvider,
    PaymentRefused,
)


class _Escrow(msgspec.Struct, frozen=True):
    id: UUID
    state: str
    amount: int
    payment: str | None
    poster_id: UUID
    starting: StartingTask | None
    """The task whose broadcast the payment would start."""


class Funding(NamedTuple):
    """A task's escrow, and what the poster's app needs to confirm a payment still open."""

    escrow: EscrowId
    client_secret: str | None = None


class MoneyCommands:
    """Funds the escrow of a task."""

    def __init__(
        self, execution: Execution, store: Store, payments: PaymentProvider, start: BroadcastStart
    ) -> None:
        self._execution = execution
        self._store = store
        self._payments = payments
        self._start = start

    async def fund(self, poster: UserId, task: TaskId) -> Funding:
        """Charges the price into escrow and returns it; a LIVE task's broadcast then starts.

        Three steps: intent row, provider call under the row's key, booking; the first wave's
        candidates are looked for during the call. Repeating resumes. HX016 PAYMENT when the
        provider refuses the payment.
        """
        escrow = await self._store.call(_Escrow, "begin_funding", poster, task)
        if escrow.state != "PENDING":
            return Funding(EscrowId(escrow.id))
        async with self._start.searching(escrow.starting) as wave:
            paid = await self._charge(escrow)
            if paid.state == "SUCCEEDED":
                plan = self._start.plan
                await self._execution.run(
                    "book_funding", escrow.id, paid.reference, plan, await wave
                )
        if paid.state == "FAILED":
            await self._execution.run("drop_payment", escrow.id)
            raise errors.refusal("HX016", "PAYMENT", "The payment was given up; fund again.")
        if paid.state == "PENDING":
            await self._execution.run("record_payment", escrow.id, paid.reference)
        return Funding(EscrowId(escrow.id), paid.client_secret)

    async def _charge(self, escrow: _Escrow) -> Movement:
        try:
            async with asyncio.timeout(PROVIDER_TIMEOUT_S):
                return await self._payments.charge(
                    escrow.id, escrow.amount, escrow.poster_id, begun=escrow.payment
                )
        except PaymentRefused as error:
            raise errors.refusal("HX016", "PAYMENT", str(error) or None) from error
        except (PaymentFailed, TimeoutError) as error:
            raise errors.refusal("UNAVAILABLE", "", "The payment did not go through.") from error

"""A poster's commands on the money of a task."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from uuid import UUID

import msgspec

from engine.kernel import errors
from engine.kernel.execution import Execution
from engine.kernel.ids import (
    EscrowId,
    TaskId,
    UserId,
)
from engine.kernel.store import Store
from engine.live.broadcast_plan import BroadcastPlan
from engine.money.provider import PROVIDER_TIMEOUT_S, PaymentFailed, PaymentProvider, PaymentRefused


class _Escrow(msgspec.Struct, frozen=True):
    id: UUID
    state: str
    amount: int
    payment: str | None
    poster_id: UUID


class Funding(NamedTuple):
    """A task's escrow, and what the poster's app needs to confirm a payment still open."""

    escrow: EscrowId
    client_secret: str | None = None


class MoneyCommands:
    """Funds the escrow of a task."""

    def __init__(
        self, execution: Execution, store: Store, payments: PaymentProvider, plan: BroadcastPlan
    ) -> None:
        self._execution = execution
        self._store = store
        self._payments = payments
        self._plan = msgspec.json.encode(plan).decode()

    async def fund(self, poster: UserId, task: TaskId) -> Funding:
        """Charges the price into escrow and returns it; a LIVE task's broadcast then starts.

        Three steps: intent row, provider call under the row's key, booking. Repeating
        resumes. HX016 PAYMENT when the provider refuses the payment.
        """
        escrow = await self._store.call(_Escrow, "begin_funding", poster, task)
        if escrow.state != "PENDING":
            return Funding(EscrowId(escrow.id))
        try:
            async with asyncio.timeout(PROVIDER_TIMEOUT_S):
                paid = await self._payments.charge(
                    escrow.id, escrow.amount, escrow.poster_id, begun=escrow.payment
                )
        except PaymentRefused as error:
            raise errors.refusal("HX016", "PAYMENT", str(error) or None) from error
        except (PaymentFailed, TimeoutError) as error:
            raise errors.refusal("UNAVAILABLE", "", "The payment did not go through.") from error
        if paid.state == "FAILED":
            await self._execution.run("drop_payment", escrow.id)
            raise errors.refusal("HX016", "PAYMENT", "The payment was given up; fund again.")
        if paid.state == "SUCCEEDED":
            await self._execution.run("book_funding", escrow.id, paid.reference, self._plan)
        else:
            await self._execution.run("record_payment", escrow.id, paid.reference)
        return Funding(EscrowId(escrow.id), paid.client_secret)

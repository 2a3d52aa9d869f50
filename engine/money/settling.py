"""Carries out settlements: provider call first, then the transaction that books its success."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import structlog

from engine.applied import Applied, EffectSink
from engine.errors import Refusal
from engine.money.provider import PROVIDER_TIMEOUT_S, PaymentProvider
from engine.steady import steadily
from engine.store import Store
from sql.database import DatabaseError

log = structlog.get_logger()

BATCH = 50
POLL_S = 1.0


class Settling:
    """The worker behind `settlements`: woken after a commit, polling as the net."""

    def __init__(
        self,
        store: Store,
        payments: PaymentProvider,
        effects: EffectSink,
        waiting: Callable[[int], None],
    ) -> None:
        self._store = store
        self._payments = payments
        self._effects = effects
        self._waiting = waiting
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """A settlement may be waiting."""
        self._bell.set()

    async def run(self) -> None:
        """For ever. Losing Postgres only delays: the rows wait."""
        await steadily("settling", self._round)

    async def _round(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._bell.wait()
        self._bell.clear()
        await self.settle_waiting()

    async def settle_waiting(self) -> int:
        """Settle what is due now; how many rows were booked."""
        rows = await self._store.rows("waiting_settlements", BATCH)
        self._waiting(len(rows))
        booked = 0
        for row in rows:
            booked += await self._settle(row)
        return booked

    async def _settle(self, row: Any) -> int:
        try:
            async with asyncio.timeout(PROVIDER_TIMEOUT_S):
                if row["kind"] == "RELEASE":
                    reference = await self._payments.transfer(
                        row["id"], row["hustler_id"], row["amount"] - row["fee_amount"]
                    )
                else:
                    reference = await self._payments.refund(
                        row["id"], row["payment"], row["amount"]
                    )
        except Exception as error:  # noqa: BLE001
            # Whatever a provider's client raises, the money has not been seen to move: again later.
            log.warning("settlement_failed", settlement=str(row["id"]), error=repr(error))
            await self._store.execute("settlement_failed", row["id"], str(error)[:500])
            return 0
        try:
            booked = await self._store.one(Applied, "book_settlement", row["id"], reference)
        except (Refusal, DatabaseError) as error:
            # The money moved but the escrow refuses the booking: an operator's case, kept in
            # sight, and no reason for the others to wait.
            log.warning(
                "settlement_not_booked",
                settlement=str(row["id"]),
                reference=reference,
                error=str(error),
            )
            await self._store.execute("settlement_failed", row["id"], str(error)[:500])
            return 0
        self._effects.applied(booked)
        return 1

"""Carries out settlements: provider call first, then the transaction that books its success."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog

from engine.applied import Applied, EffectSink
from engine.errors import Refusal
from engine.money.provider import (
    PROVIDER_TIMEOUT_S,
    Movement,
    PaymentProvider,
    PaymentRefused,
)
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
        """Every leg that is missing, one call each; 1 when the settlement is done."""
        settlement = row["id"]
        try:
            for leg in self._missing(row):
                async with asyncio.timeout(PROVIDER_TIMEOUT_S):
                    moved = await self._move(leg, row)
                name = "book_leg" if moved.state == "SUCCEEDED" else "note_leg"
                applied = await self._book(name, settlement, leg, moved.reference)
                if moved.state == "PENDING":
                    await self._store.execute("settlement_failed", settlement, "It takes its time.")
                    return 0
            if not self._missing(row):
                # both legs were done already; only the end is missing
                applied = await self._book(
                    "book_leg", settlement, "REFUND", row["refund_reference"]
                )
        except PaymentRefused as error:
            log.warning("settlement_held", settlement=str(settlement), error=str(error))
            await self._store.execute("hold_settlement", settlement, str(error)[:500])
            return 0
        except Exception as error:  # noqa: BLE001
            # Whatever a provider's client raises, the money has not been seen to move: again later.
            log.warning("settlement_failed", settlement=str(settlement), error=repr(error))
            await self._store.execute("settlement_failed", settlement, str(error)[:500])
            return 0
        self._effects.applied(applied)
        return 1

    @staticmethod
    def _missing(row: Any) -> list[str]:
        legs = []
        if row["release_amount"] and not row["transfer_done"]:
            legs.append("TRANSFER")
        if row["refund_amount"] and not row["refund_done"]:
            legs.append("REFUND")
        return legs

    async def _move(self, leg: str, row: Any) -> Movement:
        if leg == "TRANSFER":
            moved = await self._payments.transfer(
                row["id"],
                row["payout_account_id"],
                row["hustler_id"],
                row["release_amount"] - row["fee_amount"],
            )
        else:
            moved = await self._payments.refund(row["id"], row["payment"], row["refund_amount"])
        if moved.state == "FAILED":
            raise PaymentRefused(moved.note or f"The {leg.lower()} failed.")
        return moved

    async def _book(self, name: str, settlement: UUID, leg: str, reference: str) -> Applied:
        try:
            return await self._store.one(Applied, name, settlement, leg, reference)
        except (Refusal, DatabaseError) as error:
            # The money moved but the escrow refuses the booking: an operator's case.
            log.warning("settlement_not_booked", settlement=str(settlement), reference=reference)
            raise PaymentRefused(str(error)) from error

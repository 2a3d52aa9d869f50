"""Compares our journal with the provider's books, reports differences and repairs some."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from engine.kernel.execution import Execution
from engine.kernel.ids import UserId
from engine.kernel.store import Store
from engine.live.broadcast_plan import BroadcastPlan
from engine.money.books import ProviderBooks, ProviderMovement
from engine.money.comparing import Booked, Difference, differences
from engine.money.provider import PaymentProvider, PaymentRefused

EARLIER: Final = timedelta(days=2)
"""How much earlier than the window the provider may have begun what we booked inside it."""
SETTLED: Final = timedelta(minutes=5)
"""Younger movements are not judged: their booking may be under way."""

DIFFERENCE: Final = "MONEY_DIFFERENCE"


class BooksAudit:
    """Compares the books, reports differences to admins, and books what can be repaired."""

    def __init__(
        self,
        execution: Execution,
        store: Store,
        payments: PaymentProvider,
        books: ProviderBooks,
        plan: BroadcastPlan,
    ) -> None:
        self._execution = execution
        self._store = store
        self._payments = payments
        self._books = books
        self._plan = msgspec.json.encode(plan).decode()

    async def compare(self, since: datetime, until: datetime) -> list[Difference]:
        """Returns the differences between two times; changes nothing. Raises PaymentFailed."""
        movements = [
            _with_our_ids(each) for each in await self._books.movements_since(since - EARLIER)
        ]
        escrows = [UUID(each.escrow_id) for each in movements if each.escrow_id]
        settlements = [UUID(each.settlement_id) for each in movements if each.settlement_id]
        references = [each.reference for each in movements]
        booked = await self._store.one(
            list[Booked], "booked_movements", since, references, escrows, settlements
        )
        rows = await self._store.rows("known_owners", escrows, settlements)
        known = {str(row["id"]) for row in rows}
        found = differences(booked, movements, since=since, until=until, known=known)
        return [each for each in found if not await self._began_long_ago(each)]

    async def report(self, found: Sequence[Difference]) -> None:
        """Opens one admin item for each difference, however often it is found."""
        for each in found:
            details = msgspec.json.encode(each).decode()
            await self._store.perform("open_item", DIFFERENCE, each.subject, details)

    async def repair(
        self, found: Sequence[Difference], admin: UserId, reason: str
    ) -> list[Difference]:
        """Books the provider's movements that were not booked; returns the differences left.

        Each repair is an audited act of the admin's, in the transaction of the booking.
        Raises Refusal for a user who is no admin, and for what the guards refuse.
        """
        left = []
        for each in found:
            if not each.repairable:
                left.append(each)
                continue
            await self._execution.run(
                "repair_funding" if each.kind == "PAYMENT" else "repair_leg",
                admin,
                reason,
                msgspec.json.encode(each).decode(),
                UUID(each.owner),
                each.reference,
                self._plan if each.kind == "PAYMENT" else each.kind,
            )
        return left

    async def _began_long_ago(self, each: Difference) -> bool:
        """Whether what the list did not show is there all the same, begun before its window."""
        if each.what != "NOT_MOVED":
            return False
        try:
            movement = await self._payments.look_up(each.kind, each.reference)
        except PaymentRefused:
            return False
        return movement.state == "SUCCEEDED"


def _with_our_ids(movement: ProviderMovement) -> ProviderMovement:
    """Without ids that cannot be ours: other business on the same account has words of its own."""
    return msgspec.structs.replace(
        movement,
        escrow_id=_uuid_or_none(movement.escrow_id),
        settlement_id=_uuid_or_none(movement.settlement_id),
    )


def _uuid_or_none(text: str | None) -> str | None:
    try:
        return str(UUID(text or ""))
    except ValueError:
        return None

"""Who has which cent: what the simulated provider was asked to move, by everybody's balance."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any
from uuid import UUID

import pytest

from engine.money.provider import Movement
from engine.money.simulated import SimulatedPayments


class Purses:
    """Listens to the provider's calls. A key counts once, as it does at a real provider.

    A poster in `slow` pays only when told: the money is on its way meanwhile.
    """

    def __init__(self) -> None:
        self._cents: defaultdict[UUID, int] = defaultdict(int)
        self._payers: dict[str, UUID] = {}
        self._seen: set[str] = set()
        self.slow: dict[UUID, asyncio.Event] = {}
        self.asked = asyncio.Event()

    def of(self, user: UUID) -> int:
        """Cents that a user has more than at first; negative for who has paid."""
        return self._cents[user]

    def listen(self, patching: pytest.MonkeyPatch) -> None:
        """From here on, to every simulated provider."""
        charge, transfer, refund = (
            SimulatedPayments.charge,
            SimulatedPayments.transfer,
            SimulatedPayments.refund,
        )

        async def charged(
            provider: SimulatedPayments, key: UUID, amount_cents: int, poster: UUID, **more: Any
        ) -> Movement:
            if poster in self.slow:
                self.asked.set()
                await self.slow[poster].wait()
            moved = await charge(provider, key, amount_cents, poster, **more)
            self._payers[moved.reference] = poster
            self._move(moved.reference, poster, -amount_cents)
            return moved

        async def transferred(
            provider: SimulatedPayments,
            key: UUID,
            account: str | None,
            hustler: UUID,
            amount_cents: int,
            **more: Any,
        ) -> Movement:
            moved = await transfer(provider, key, account, hustler, amount_cents, **more)
            self._move(moved.reference, hustler, amount_cents)
            return moved

        async def refunded(
            provider: SimulatedPayments, key: UUID, payment: str, amount_cents: int, **more: Any
        ) -> Movement:
            moved = await refund(provider, key, payment, amount_cents, **more)
            self._move(moved.reference, self._payers[payment], amount_cents)
            return moved

        patching.setattr(SimulatedPayments, "charge", charged)
        patching.setattr(SimulatedPayments, "transfer", transferred)
        patching.setattr(SimulatedPayments, "refund", refunded)

    def _move(self, reference: str, user: UUID, cents: int) -> None:
        if reference not in self._seen:
            self._seen.add(reference)
            self._cents[user] += cents

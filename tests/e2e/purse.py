"""Who has which cent: a simulated provider that keeps everybody's balance."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from engine.money.provider import Movement
from engine.money.providers.simulated import SimulatedPayments
from gateway.server.payments import Money
from gateway.settings.groups import Payments


class Purses(SimulatedPayments):
    """The simulated provider, with books. A key counts once, as it does at a real provider.

    A poster in `slow` pays only when told: the money is on its way meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()
        self._cents: defaultdict[UUID, int] = defaultdict(int)
        self._payers: dict[str, UUID] = {}
        self._seen: set[str] = set()
        self.slow: dict[UUID, asyncio.Event] = {}
        self.asked = asyncio.Event()

    def of(self, user: UUID) -> int:
        """Cents that a user has more than at first; negative for who has paid."""
        return self._cents[user]

    @asynccontextmanager
    async def opened(self, _settings: Payments) -> AsyncIterator[Money]:
        """As the service opens its provider."""
        yield Money(self, self, books=None)

    async def charge(self, key: UUID, amount_cents: int, poster: UUID, **more: Any) -> Movement:
        """Take it from the poster, at once or when told."""
        if poster in self.slow:
            self.asked.set()
            await self.slow[poster].wait()
        moved = await super().charge(key, amount_cents, poster, **more)
        self._payers[moved.reference] = poster
        self._move(moved.reference, poster, -amount_cents)
        return moved

    async def transfer(
        self, key: UUID, account: str | None, hustler: UUID, amount_cents: int, **more: Any
    ) -> Movement:
        """Give it to the hustler."""
        moved = await super().transfer(key, account, hustler, amount_cents, **more)
        self._move(moved.reference, hustler, amount_cents)
        return moved

    async def refund(self, key: UUID, payment: str, amount_cents: int, **more: Any) -> Movement:
        """Give it back to who paid."""
        moved = await super().refund(key, payment, amount_cents, **more)
        self._move(moved.reference, self._payers[payment], amount_cents)
        return moved

    def _move(self, reference: str, user: UUID, cents: int) -> None:
        if reference not in self._seen:
            self._seen.add(reference)
            self._cents[user] += cents

"""The reads of money."""

from __future__ import annotations

from engine.kernel.ids import (
    EscrowId,
)
from engine.kernel.store import Store
from engine.money.views import EscrowView


class MoneyQueries:
    """Reads escrows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def escrow(self, escrow: EscrowId) -> EscrowView:
        """Returns the escrow as the API shows it; NOT_FOUND for an unknown id."""
        return await self._store.found(EscrowView, "escrow_view", escrow)

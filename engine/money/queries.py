"""What may be read of money."""

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
        """One escrow."""
        return await self._store.found(EscrowView, "escrow_view", escrow)

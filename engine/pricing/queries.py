"""The reads of price proposals."""

from __future__ import annotations

from engine.kernel.ids import (
    ProposalId,
    TaskId,
    UserId,
)
from engine.kernel.store import Store
from engine.pricing.views import ProposalView


class PricingQueries:
    """Reads price proposals."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def proposal(self, proposal: ProposalId) -> ProposalView:
        """Returns a price proposal; NOT_FOUND for an unknown id."""
        return await self._store.found(ProposalView, "proposal_view", proposal)

    async def of_task(self, viewer: UserId, task: TaskId) -> list[ProposalView]:
        """Returns the price proposals of a task for its two sides; NOT_FOUND for others."""
        return await self._store.found(list[ProposalView], "task_proposals", viewer, task)

"""The reads of proofs."""

from __future__ import annotations

from engine.kernel.ids import (
    ProofId,
    TaskId,
    UserId,
)
from engine.kernel.store import Store
from engine.proofs.views import ProofView


class ProofQueries:
    """Reads proofs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of_task(self, viewer: UserId, task: TaskId) -> list[ProofView]:
        """Returns the proofs of a task for its two sides; NOT_FOUND for others."""
        return await self._store.found(list[ProofView], "task_proofs", viewer, task)

    async def proof(self, proof: ProofId) -> ProofView:
        """Returns a proof; NOT_FOUND for an unknown id."""
        return await self._store.found(ProofView, "proof_view", proof)

"""The admin's reads and commands on disputes."""

from __future__ import annotations

from typing import Literal

from engine.disputes.admin_views import DisputeFile, DisputeState
from engine.disputes.views import DisputeView
from engine.kernel.execution import Execution
from engine.kernel.ids import (
    DisputeId,
    UserId,
)
from engine.kernel.store import Cursor, Store

Outcome = Literal["HUSTLER", "POSTER", "SPLIT"]


class DisputeAdmin:
    """Reads disputes, extends their evidence phase, escalates and resolves them."""

    def __init__(self, execution: Execution, store: Store) -> None:
        self._execution = execution
        self._store = store

    async def request_evidence(self, admin: UserId, dispute: DisputeId, reason: str) -> None:
        """Extends the evidence deadline of both sides by 72 hours."""
        await self._execution.run("advance_dispute", admin, dispute, "EVIDENCE_REQUESTED", reason)

    async def escalate(self, admin: UserId, dispute: DisputeId, reason: str) -> None:
        """Escalates a dispute; only its resolution remains possible."""
        await self._execution.run("advance_dispute", admin, dispute, "ESCALATED", reason)

    async def resolve(
        self,
        admin: UserId,
        dispute: DisputeId,
        outcome: Outcome,
        release_cents: int | None,
        reason: str,
    ) -> None:
        """Resolves a dispute and queues its settlement.

        A SPLIT releases `release_cents` to the hustler's side and refunds the rest.
        """
        await self._execution.run("resolve_dispute", admin, dispute, outcome, release_cents, reason)

    async def disputes(
        self, state: DisputeState | str | None, after: Cursor | None, limit: int
    ) -> tuple[list[DisputeView], Cursor | None]:
        """Returns a page of disputes, oldest first; UNRESOLVED is every state but RESOLVED."""
        return await self._store.page(
            DisputeView, "admin_disputes", state, after=after, limit=limit
        )

    async def dispute(self, dispute: DisputeId) -> DisputeFile:
        """Returns a dispute with all that a resolution needs; NOT_FOUND for an unknown id."""
        return await self._store.found(DisputeFile, "admin_dispute", dispute)

"""The commands of an accepted task's poster and hustler on its price."""

from __future__ import annotations

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    ProposalId,
    TaskId,
    UserId,
)


class PricingCommands:
    """Proposes another price, and answers a proposal."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def propose(self, user: UserId, task: TaskId, price_cents: int) -> ProposalId:
        """Proposes another price for an accepted task before its start; returns the proposal."""
        applied = await self._execution.run("propose_price", user, task, price_cents)
        return ProposalId(applied.subject)

    async def answer(
        self, user: UserId, task: TaskId, proposal: ProposalId, *, agrees: bool
    ) -> None:
        """Accepts the other side's price (the poster then funds the replacement) or declines it."""
        await self._execution.run("answer_proposal", user, task, proposal, agrees)

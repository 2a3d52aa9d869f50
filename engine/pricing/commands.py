"""What either side of an accepted task may do about its price."""

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
        """Another price for an accepted task, before the start code."""
        applied = await self._execution.run("propose_price", user, task, price_cents)
        return ProposalId(applied.subject)

    async def answer(
        self, user: UserId, task: TaskId, proposal: ProposalId, *, agrees: bool
    ) -> None:
        """Agree to the other side's price (the poster then funds the replacement), or decline."""
        await self._execution.run("answer_proposal", user, task, proposal, agrees)

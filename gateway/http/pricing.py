"""Price proposals over REST: propose another price, read the proposals, agree to or decline one."""

from __future__ import annotations

from msgspec import Struct

from engine.kernel.ids import ProposalId, TaskId
from engine.pricing.views import ProposalView
from gateway.contract.fields import Cents
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts


class PriceRequest(Sent, frozen=True):
    """POST …/price-proposals."""

    price_cents: Cents


class Proposals(Struct, frozen=True):
    """The price proposals of a task, oldest first."""

    items: list[ProposalView]


async def propose_price(
    parts: Parts, context: RequestContext[PriceRequest, Nothing]
) -> ProposalView:
    """Propose another price for an accepted task, before the start code."""
    proposal = await parts.commands.pricing.propose(
        context.user_id, context.id(TaskId), context.body.price_cents
    )
    return await parts.queries.pricing.proposal(proposal)


async def proposals(parts: Parts, context: RequestContext[Nothing, Nothing]) -> Proposals:
    """The prices that were proposed, for both sides."""
    return Proposals(await parts.queries.pricing.of_task(context.user_id, context.id(TaskId)))


async def agree_to_price(parts: Parts, context: RequestContext[Nothing, Nothing]) -> ProposalView:
    """Agree to the other side's price; the poster then funds the replacement escrow."""
    await parts.commands.pricing.answer(
        context.user_id, context.id(TaskId), context.id(ProposalId), agrees=True
    )
    return await parts.queries.pricing.proposal(context.id(ProposalId))


async def decline_price(parts: Parts, context: RequestContext[Nothing, Nothing]) -> ProposalView:
    """Decline the other side's price, or take one's own back."""
    await parts.commands.pricing.answer(
        context.user_id, context.id(TaskId), context.id(ProposalId), agrees=False
    )
    return await parts.queries.pricing.proposal(context.id(ProposalId))

"""Who is offered what, and where: one pair explained, and supply and demand by cell."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from engine.kernel.ids import TaskId, UserId
from engine.matching.explanation_views import OfferExplanation
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts
from gateway.tracking.demand import Demand


class ExplainedHustler(Sent, frozen=True):
    """GET …/explain?hustler_id."""

    hustler_id: UUID


async def explain(
    parts: Parts, context: RequestContext[Nothing, ExplainedHustler]
) -> OfferExplanation:
    """Why the hustler is offered the task's latest broadcast, running or ended, or why not."""
    return await parts.explanations.explain(context.id(TaskId), UserId(context.query.hustler_id))


class CellSize(Sent, frozen=True):
    """GET /v1/admin/demand?cell_resolution: of H3; 5 is some 20 miles across, 9 a quarter of one."""

    cell_resolution: Annotated[int, Meta(ge=5, le=9)] = 7


async def demand(parts: Parts, context: RequestContext[Nothing, CellSize]) -> Demand:
    """Open tasks, active hustlers and the median time to accept by cell, at most 10 s old."""
    return await parts.demand.at(context.query.cell_resolution)

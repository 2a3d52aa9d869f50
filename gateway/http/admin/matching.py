"""Why somebody is offered a task, or why not."""

from __future__ import annotations

from uuid import UUID

from engine.kernel.ids import TaskId, UserId
from engine.matching.explanation_views import OfferExplanation
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts


class ExplainedHustler(Sent, frozen=True):
    """GET …/explain?hustler_id."""

    hustler_id: UUID


async def explain(
    parts: Parts, context: RequestContext[Nothing, ExplainedHustler]
) -> OfferExplanation:
    """Why the hustler is offered the task's latest broadcast, running or ended, or why not."""
    return await parts.explanations.explain(context.id(TaskId), UserId(context.query.hustler_id))

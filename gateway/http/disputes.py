"""Disputes over REST: open one, read it, add evidence."""

from __future__ import annotations

from msgspec import field

from engine.disputes.views import DisputeView
from engine.kernel.ids import TaskId
from engine.tasks.views import TaskView
from gateway.contract.fields import Text, Uploads
from gateway.http.decoding import MandatoryReason, Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts


class EvidenceRequest(Sent, frozen=True):
    """POST …/evidence."""

    text: Text
    photos: Uploads = field(default_factory=list)


async def dispute(parts: Parts, context: RequestContext[MandatoryReason, Nothing]) -> TaskView:
    """Ask for a decision: the money is locked until an admin has made it."""
    await parts.commands.disputes.open(context.user_id, context.id(TaskId), context.body.reason)
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))


async def show_dispute(parts: Parts, context: RequestContext[Nothing, Nothing]) -> DisputeView:
    """The task's dispute, with the evidence of both sides."""
    return await parts.queries.disputes.of_task(context.user_id, context.id(TaskId))


async def add_evidence(
    parts: Parts, context: RequestContext[EvidenceRequest, Nothing]
) -> DisputeView:
    """Say or show something in the task's dispute."""
    await parts.commands.disputes.add_evidence(
        context.user_id, context.id(TaskId), context.body.text, context.body.photos
    )
    return await parts.queries.disputes.of_task(context.user_id, context.id(TaskId))

"""Proofs over REST: hand in the work, read its proofs, approve or reject one."""

from __future__ import annotations

from msgspec import Struct

from engine.kernel.ids import TaskId
from engine.proofs.views import ProofView
from engine.tasks.views import TaskView
from gateway.contract.fields import Code, FieldRefused, Uploads
from gateway.http.decoding import MandatoryReason, Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts


class ProofRequest(Sent, frozen=True):
    """POST …/proofs: photos, the completion code, or nothing where the task asks for no proof."""

    code: Code | None = None
    photos: Uploads | None = None

    def __post_init__(self) -> None:
        if self.code is not None and self.photos is not None:
            raise FieldRefused("code", "must be left out where there are photos")
        if self.photos is not None and not self.photos:
            raise FieldRefused("photos", "must hold at least one")


class Proofs(Struct, frozen=True):
    """The proofs of a task, oldest first."""

    items: list[ProofView]


async def submit_proof(parts: Parts, context: RequestContext[ProofRequest, Nothing]) -> ProofView:
    """Hand in the work: with photos, with the completion code, or without where none is asked."""
    if context.body.photos is not None:
        proof_id = await parts.commands.proofs.submit_photos(
            context.user_id, context.id(TaskId), context.body.photos
        )
    else:
        proof_id = await parts.commands.proofs.submit(
            context.user_id, context.id(TaskId), context.body.code
        )
    return await parts.queries.proofs.proof(proof_id)


async def proofs(parts: Parts, context: RequestContext[Nothing, Nothing]) -> Proofs:
    """A task's proofs, for both sides."""
    return Proofs(await parts.queries.proofs.of_task(context.user_id, context.id(TaskId)))


async def approve(parts: Parts, context: RequestContext[Nothing, Nothing]) -> TaskView:
    """Accept the proof: the task is completed and the hustler is paid."""
    await parts.commands.proofs.approve(context.user_id, context.id(TaskId))
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))


async def reject(parts: Parts, context: RequestContext[MandatoryReason, Nothing]) -> TaskView:
    """Turn the proof down, with a reason; the third time it becomes a dispute."""
    await parts.commands.proofs.reject(context.user_id, context.id(TaskId), context.body.reason)
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))

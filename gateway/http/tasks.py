"""Tasks over REST: create, read, and every step of their life."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from engine.disputes.views import DisputeView
from engine.kernel import errors
from engine.kernel.applied import Applied
from engine.money.views import EscrowView
from engine.pricing.views import ProposalView
from engine.proofs.views import ProofView
from engine.tasks.views import Page, TaskView, TransitionView
from gateway.http import requests
from gateway.http.endpoint import Ask, Repeated
from gateway.http.parts import Parts
from gateway.http.requests import Nothing


class Proofs(Struct, frozen=True):
    """The proofs of a task, oldest first."""

    items: list[ProofView]


class History(Struct, frozen=True):
    """The steps of a task, oldest first."""

    items: list[TransitionView]


class Proposals(Struct, frozen=True):
    """The price proposals of a task, oldest first."""

    items: list[ProposalView]


class Chosen(Struct, frozen=True):
    """What a broadcast-choice led to.

    For a switch `task` is the successor; for an increase `escrow` is the one to be funded.
    """

    task: TaskView
    escrow: EscrowView | None


async def create(parts: Parts, ask: Ask[requests.TaskRequest, Nothing]) -> TaskView:
    """Create a task. A LIVE task is broadcast once it is funded."""
    requests.check_terms(ask.body)
    task_id = await parts.commands.tasks.create(ask.user_id, requests.draft(ask.body))
    return await parts.queries.tasks.view(ask.user_id, task_id)


async def show(parts: Parts, ask: Ask[Nothing, Nothing]) -> TaskView:
    """One task, as the caller may see it."""
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def page(parts: Parts, ask: Ask[Nothing, requests.TasksQuery]) -> Page:
    """The caller's own tasks as poster or as hustler, newest first."""
    query = ask.query
    items, end = await parts.queries.tasks.page(
        ask.user_id,
        query.role,
        query.state,
        parts.cursors.after(ask.user_id, query.cursor),
        query.limit,
    )
    return Page(items, parts.cursors.next(ask.user_id, end))


async def fund(parts: Parts, ask: Ask[Nothing, Nothing]) -> EscrowView | Repeated:
    """Fund a task's escrow. Funding a LIVE task starts its broadcast."""
    before = await parts.queries.tasks.view(ask.user_id, ask.task_id)
    funding = await parts.commands.money.fund(ask.user_id, ask.task_id)
    escrow = await parts.queries.money.escrow(funding.escrow)
    held = before.escrow
    if held is not None and held.id == escrow.id and held.state != "PENDING":
        return Repeated(escrow)
    return msgspec.structs.replace(escrow, client_secret=funding.client_secret)


async def edit(parts: Parts, ask: Ask[requests.EditRequest, Nothing]) -> TaskView:
    """Change a task: everything but the mode before it is funded, then title and description."""
    await parts.commands.tasks.edit(
        ask.user_id, ask.task_id, requests.changes(ask.body), ask.body.version
    )
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def accept(parts: Parts, ask: Ask[requests.AcceptRequest, Nothing]) -> TaskView:
    """Accept a task: the first hustler wins, everybody else learns that it is taken."""
    applied = await parts.commands.live.accept(ask.user_id, ask.task_id, ask.body.version)
    check_won(applied)
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def arrived(parts: Parts, ask: Ask[Nothing, Nothing]) -> TaskView:
    """The hustler is at the place: seen by the last position, or a claim where none is known."""
    await parts.positions.arrivals.claim(ask.user_id, ask.task_id)
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def start(parts: Parts, ask: Ask[requests.StartRequest, Nothing]) -> TaskView:
    """Start work with the code that the poster shows."""
    await parts.commands.tasks.start(ask.user_id, ask.task_id, ask.body.code)
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def release(parts: Parts, ask: Ask[requests.ReasonRequest, Nothing]) -> TaskView:
    """Give an accepted task back; a successor with the same escrow goes out again."""
    await parts.commands.tasks.release(ask.user_id, ask.task_id, ask.body.reason)
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def submit_proof(parts: Parts, ask: Ask[requests.ProofRequest, Nothing]) -> ProofView:
    """Hand in the work: with photos, with the completion code, or without where none is asked."""
    if ask.body.photos is not None:
        proof_id = await parts.commands.proofs.submit_photos(
            ask.user_id, ask.task_id, ask.body.photos
        )
    else:
        proof_id = await parts.commands.proofs.submit(ask.user_id, ask.task_id, ask.body.code)
    return await parts.queries.proofs.proof(proof_id)


async def proofs(parts: Parts, ask: Ask[Nothing, Nothing]) -> Proofs:
    """A task's proofs, for both sides."""
    return Proofs(await parts.queries.proofs.of_task(ask.user_id, ask.task_id))


async def approve(parts: Parts, ask: Ask[Nothing, Nothing]) -> TaskView:
    """Accept the proof: the task is completed and the hustler is paid."""
    await parts.commands.proofs.approve(ask.user_id, ask.task_id)
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def reject(parts: Parts, ask: Ask[requests.MandatoryReason, Nothing]) -> TaskView:
    """Turn the proof down, with a reason; the third time it becomes a dispute."""
    await parts.commands.proofs.reject(ask.user_id, ask.task_id, ask.body.reason)
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def dispute(parts: Parts, ask: Ask[requests.MandatoryReason, Nothing]) -> TaskView:
    """Ask for a decision: the money is locked until an admin has made it."""
    await parts.commands.disputes.open(ask.user_id, ask.task_id, ask.body.reason)
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def show_dispute(parts: Parts, ask: Ask[Nothing, Nothing]) -> DisputeView:
    """The task's dispute, with the evidence of both sides."""
    return await parts.queries.disputes.of_task(ask.user_id, ask.task_id)


async def add_evidence(parts: Parts, ask: Ask[requests.EvidenceRequest, Nothing]) -> DisputeView:
    """Say or show something in the task's dispute."""
    await parts.commands.disputes.add_evidence(
        ask.user_id, ask.task_id, ask.body.text, ask.body.photos
    )
    return await parts.queries.disputes.of_task(ask.user_id, ask.task_id)


async def propose_price(parts: Parts, ask: Ask[requests.PriceRequest, Nothing]) -> ProposalView:
    """Propose another price for an accepted task, before the start code."""
    proposal = await parts.commands.pricing.propose(ask.user_id, ask.task_id, ask.body.price_cents)
    return await parts.queries.pricing.proposal(proposal)


async def proposals(parts: Parts, ask: Ask[Nothing, Nothing]) -> Proposals:
    """The prices that were proposed, for both sides."""
    return Proposals(await parts.queries.pricing.of_task(ask.user_id, ask.task_id))


async def agree_to_price(parts: Parts, ask: Ask[Nothing, Nothing]) -> ProposalView:
    """Agree to the other side's price; the poster then funds the replacement escrow."""
    await parts.commands.pricing.answer(ask.user_id, ask.task_id, ask.proposal_id, agrees=True)
    return await parts.queries.pricing.proposal(ask.proposal_id)


async def decline_price(parts: Parts, ask: Ask[Nothing, Nothing]) -> ProposalView:
    """Decline the other side's price, or take one's own back."""
    await parts.commands.pricing.answer(ask.user_id, ask.task_id, ask.proposal_id, agrees=False)
    return await parts.queries.pricing.proposal(ask.proposal_id)


async def cancel(parts: Parts, ask: Ask[requests.ReasonRequest, Nothing]) -> TaskView:
    """Cancel a task that nobody has arrived for; the poster gets everything back."""
    await parts.commands.tasks.cancel(ask.user_id, ask.task_id, ask.body.reason)
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def choose(parts: Parts, ask: Ask[requests.ChoiceRequest, Nothing]) -> Chosen:
    """What happens to a task whose broadcast found nobody."""
    chosen = await parts.commands.tasks.choose(
        ask.user_id, ask.task_id, ask.body.choice, ask.body.price_cents
    )
    task = await parts.queries.tasks.view(ask.user_id, chosen.task)
    if chosen.replacement is not None:
        return Chosen(task, await parts.queries.money.escrow(chosen.replacement))
    return Chosen(task, task.escrow)


async def history(parts: Parts, ask: Ask[Nothing, Nothing]) -> History:
    """Every step of a task: from, to, who, why and when."""
    return History(await parts.queries.tasks.history(ask.user_id, ask.task_id))


def check_won(applied: Applied) -> None:
    """Turn the outcome of an accept that did not win into its refusal."""
    match applied.outcome:
        case "TAKEN":
            raise errors.refusal("HX011", "TAKEN")
        case "EXPIRED":
            raise errors.refusal("HX015", "LIVE-5")

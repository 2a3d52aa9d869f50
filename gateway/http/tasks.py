"""Tasks over REST: create, read, and every step of their life."""

from __future__ import annotations

from msgspec import Struct

from engine import errors
from engine.applied import Applied
from engine.views import EscrowView, Page, ProofView, TaskView, TransitionView
from gateway.http import requests
from gateway.http.calls import Ask, Repeated
from gateway.http.requests import Nothing
from gateway.parts import Parts


class Proofs(Struct, frozen=True):
    """The proofs of a task, oldest first."""

    items: list[ProofView]


class History(Struct, frozen=True):
    """The steps of a task, oldest first."""

    items: list[TransitionView]


class Chosen(Struct, frozen=True):
    """What a broadcast-choice led to: for a switch `task` is the successor."""

    task: TaskView
    escrow: EscrowView | None


async def create(parts: Parts, ask: Ask[requests.TaskRequest, Nothing]) -> TaskView:
    """Create a task. A LIVE task is broadcast once it is funded."""
    requests.check_terms(ask.body)
    task_id = await parts.commands.create_task(ask.user_id, requests.draft(ask.body))
    return await parts.queries.task_view(ask.user_id, task_id)


async def show(parts: Parts, ask: Ask[Nothing, Nothing]) -> TaskView:
    """One task, as the caller may see it."""
    return await parts.queries.task_view(ask.user_id, ask.task_id)


async def page(parts: Parts, ask: Ask[Nothing, requests.TasksQuery]) -> Page:
    """The caller's own tasks as poster or as hustler, newest first."""
    query = ask.query
    after = parts.cursors.open(ask.user_id, query.cursor) if query.cursor else None
    items, end = await parts.queries.tasks_page(
        ask.user_id, query.role, query.state, after, query.limit
    )
    return Page(items, parts.cursors.sign(ask.user_id, end) if end else None)


async def fund(parts: Parts, ask: Ask[Nothing, Nothing]) -> EscrowView | Repeated:
    """Fund a task's escrow. Funding a LIVE task starts its broadcast."""
    before = await parts.queries.task_view(ask.user_id, ask.task_id)
    escrow = await parts.queries.escrow(await parts.commands.fund(ask.user_id, ask.task_id))
    funded_before = before.escrow is not None and before.escrow.state != "PENDING"
    return Repeated(escrow) if funded_before else escrow


async def accept(parts: Parts, ask: Ask[requests.AcceptRequest, Nothing]) -> TaskView:
    """Accept a task: the first hustler wins, everybody else learns that it is taken."""
    applied = await parts.commands.accept(ask.user_id, ask.task_id, ask.body.version)
    check_won(applied)
    return await parts.queries.task_view(ask.user_id, ask.task_id)


async def arrived(parts: Parts, ask: Ask[Nothing, Nothing]) -> TaskView:
    """The hustler is at the place."""
    await parts.commands.arrived(ask.user_id, ask.task_id)
    return await parts.queries.task_view(ask.user_id, ask.task_id)


async def start(parts: Parts, ask: Ask[requests.StartRequest, Nothing]) -> TaskView:
    """Start work with the code that the poster shows."""
    await parts.commands.start(ask.user_id, ask.task_id, ask.body.code)
    return await parts.queries.task_view(ask.user_id, ask.task_id)


async def release(parts: Parts, ask: Ask[requests.ReasonRequest, Nothing]) -> TaskView:
    """Give an accepted task back; a successor with the same escrow goes out again."""
    await parts.commands.release(ask.user_id, ask.task_id, ask.body.reason)
    return await parts.queries.task_view(ask.user_id, ask.task_id)


async def submit_proof(parts: Parts, ask: Ask[requests.ProofRequest, Nothing]) -> ProofView:
    """Hand in the work: with the completion code, or without where no proof is asked for."""
    proof_id = await parts.commands.submit_proof(ask.user_id, ask.task_id, ask.body.code)
    return await parts.queries.proof(proof_id)


async def proofs(parts: Parts, ask: Ask[Nothing, Nothing]) -> Proofs:
    """A task's proofs, for both sides."""
    return Proofs(await parts.queries.proofs(ask.user_id, ask.task_id))


async def approve(parts: Parts, ask: Ask[Nothing, Nothing]) -> TaskView:
    """Accept the proof: the task is completed and the hustler is paid."""
    await parts.commands.approve(ask.user_id, ask.task_id)
    return await parts.queries.task_view(ask.user_id, ask.task_id)


async def cancel(parts: Parts, ask: Ask[requests.ReasonRequest, Nothing]) -> TaskView:
    """Cancel a task that nobody has arrived for; the poster gets everything back."""
    await parts.commands.cancel(ask.user_id, ask.task_id, ask.body.reason)
    return await parts.queries.task_view(ask.user_id, ask.task_id)


async def choose(parts: Parts, ask: Ask[requests.ChoiceRequest, Nothing]) -> Chosen:
    """What happens to a task whose broadcast found nobody."""
    task_id = await parts.commands.choose(ask.user_id, ask.task_id, ask.body.choice)
    task = await parts.queries.task_view(ask.user_id, task_id)
    return Chosen(task, task.escrow)


async def history(parts: Parts, ask: Ask[Nothing, Nothing]) -> History:
    """Every step of a task: from, to, who, why and when."""
    return History(await parts.queries.history(ask.user_id, ask.task_id))


def check_won(applied: Applied) -> None:
    """Turn the outcome of an accept that did not win into its refusal."""
    match applied.outcome:
        case "TAKEN":
            raise errors.refusal("HX011", "TAKEN")
        case "EXPIRED":
            raise errors.refusal("HX015", "LIVE-5")

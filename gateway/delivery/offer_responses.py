"""Carries out a hustler's response to an offer and updates the hustler's other sockets."""

from __future__ import annotations

from engine.api.commands import Commands
from engine.api.queries import Queries
from engine.kernel import errors
from engine.kernel.ids import BroadcastId, TaskId, UserId
from gateway.contract.client import Answer
from gateway.contract.server import BroadcastResponse
from gateway.delivery.hub import Hub


async def respond(
    commands: Commands, queries: Queries, hub: Hub, hustler: UserId, answer: Answer
) -> BroadcastResponse:
    """Accepts, declines or skips an offer; returns the outcome, with the task for the winner.

    Raises what `Commands.respond` refuses, and HX017 when the database gave no outcome.
    """
    broadcast = BroadcastId(answer.broadcast_id)
    applied = await commands.live.respond(
        hustler, broadcast, answer.response, answer.decline_reason
    )
    outcome = applied.outcome
    if outcome == "DONE" or applied.task_id is None:
        raise errors.refusal("HX017", "LOCK")
    if outcome == "DECLINED":
        hub.answered(hustler, broadcast, applied.task_id)
    if outcome != "WON":
        return BroadcastResponse(broadcast, outcome)
    task = await queries.tasks.view(hustler, TaskId(applied.task_id))
    return BroadcastResponse(broadcast, outcome, task)

"""LIVE mode, offers and accepts over REST: the channel for clients whose sockets are blocked."""

from __future__ import annotations

from msgspec import Struct

from engine.kernel import errors
from engine.kernel.applied import Applied
from engine.kernel.ids import BroadcastId, TaskId, UserId
from engine.live.views import LiveView, OfferCard
from engine.tasks.views import TaskView
from gateway.contract import client, codec, server
from gateway.contract.fields import OfferResponse, Reason, Version
from gateway.delivery import offer_responses
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts


class AcceptRequest(Sent, frozen=True):
    """POST …/accept; `version` is the one the hustler saw."""

    version: Version | None = None


class OfferAnswer(Sent, frozen=True):
    """POST /v1/offers/{broadcast_id}/response."""

    response: OfferResponse
    decline_reason: Reason | None = None


class Offers(Struct, frozen=True):
    """The caller's open offers, best first."""

    items: list[OfferCard]


async def show(parts: Parts, context: RequestContext[Nothing, Nothing]) -> LiveView:
    """The caller's LIVE state."""
    return await parts.queries.live.state(context.user_id)


async def switch_on(parts: Parts, context: RequestContext[client.GoLive, Nothing]) -> LiveView:
    """Go LIVE from a position; without radius or categories there is no limit of one's own."""
    await parts.location_tracker.go_live(context.user_id, context.body)
    return await _publish_live_state(parts, context.user_id)


async def switch_off(parts: Parts, context: RequestContext[Nothing, Nothing]) -> LiveView:
    """End LIVE mode; this is always allowed."""
    await parts.location_tracker.end_live(context.user_id, "MANUAL")
    return await _publish_live_state(parts, context.user_id)


async def _publish_live_state(parts: Parts, user: UserId) -> LiveView:
    """Returns the new LIVE state, and pushes it to the user's sockets."""
    live = await parts.queries.live.state(user)
    change = server.LiveModeChange(live.state, live.reason, live.ends_at)
    parts.hub.registry.send(user, codec.encode("LIVE_MODE_STATE_CHANGE", change))
    return live


async def move(parts: Parts, context: RequestContext[client.LocationUpdate, Nothing]) -> None:
    """A new position; it also keeps the caller present, as a heartbeat does."""
    await parts.location_tracker.move(context.user_id, context.body)


async def offers(parts: Parts, context: RequestContext[Nothing, Nothing]) -> Offers:
    """The caller's open offers."""
    return Offers(await parts.queries.live.offers(context.user_id))


async def respond(
    parts: Parts, context: RequestContext[OfferAnswer, Nothing]
) -> server.BroadcastResponse:
    """Accept, decline or skip an offer; the outcome is the one the socket would tell."""
    answer = client.Answer(
        broadcast_id=context.id(BroadcastId),
        response=context.body.response,
        decline_reason=context.body.decline_reason,
    )
    return await offer_responses.respond(
        parts.commands, parts.queries, parts.hub, context.user_id, answer
    )


async def accept(parts: Parts, context: RequestContext[AcceptRequest, Nothing]) -> TaskView:
    """Accept a task: the first hustler wins, everybody else learns that it is taken."""
    applied = await parts.commands.live.accept(
        context.user_id, context.id(TaskId), context.body.version
    )
    check_won(applied)
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))


def check_won(applied: Applied) -> None:
    """Raises the refusal of an accept that did not win; returns for one that won."""
    match applied.outcome:
        case "TAKEN":
            raise errors.refusal("HX011", "TAKEN")
        case "EXPIRED":
            raise errors.refusal("HX015", "LIVE-5")

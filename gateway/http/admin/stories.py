"""What a click on the map tells: the story of a task, and of the hustler at a place."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from engine.admin.stories import HustlerStory, TaskStory
from engine.kernel import errors
from engine.kernel.ids import TaskId, UserId
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts
from geo.points import LatLng

NEAR_MILES: Final = 0.5
"""A hustler farther from the place than this was not meant."""


class MapLocation(Sent, frozen=True):
    """GET …/hustlers/nearest?lat&lng, in degrees."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lng: Annotated[float, Meta(ge=-180, le=180)]


async def task(parts: Parts, context: RequestContext[Nothing, Nothing]) -> TaskStory:
    """A task step by step with its times: waves, answers, work, money."""
    return await parts.stories.task(context.id(TaskId))


async def hustler(parts: Parts, context: RequestContext[Nothing, Nothing]) -> HustlerStory:
    """A hustler's last 24 hours: cards, answers, tasks, earnings."""
    return await parts.stories.hustler(context.id(UserId))


async def nearest(parts: Parts, context: RequestContext[Nothing, MapLocation]) -> HustlerStory:
    """The story of the hustler in LIVE mode nearest to a place, within half a mile."""
    user = parts.location_tracker.nearest(LatLng(context.query.lat, context.query.lng), NEAR_MILES)
    if user is None:
        raise errors.refusal("NOT_FOUND")
    return await parts.stories.hustler(user)

"""The caller's own account over REST."""

from __future__ import annotations

from engine.people.views import MeView
from gateway.contract.fields import TimeZone
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts


class AccountEdit(Sent, frozen=True):
    """PATCH /v1/me; an IANA name such as `America/Los_Angeles`."""

    time_zone: TimeZone


async def me(parts: Parts, context: RequestContext[Nothing, Nothing]) -> MeView:
    """Account, LIVE state, trust tier, XP, level and streak."""
    return await parts.queries.people.me(context.user_id)


async def edit(parts: Parts, context: RequestContext[AccountEdit, Nothing]) -> MeView:
    """Change the time zone, whose days the streak counts."""
    await parts.commands.people.set_time_zone(context.user_id, context.body.time_zone)
    return await parts.queries.people.me(context.user_id)

"""The caller's progress over REST: XP, level, streak, tier and badges."""

from __future__ import annotations

from engine.kernel.ids import BadgeId
from engine.progress.views import BadgeView, ProgressView
from gateway.http.decoding import Nothing
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts


async def progress(parts: Parts, context: RequestContext[Nothing, Nothing]) -> ProgressView:
    """XP, level, streak, what the next trust tier asks for, badges, the LIVE record."""
    return await parts.queries.progress.progress(context.user_id)


async def badge_shown(parts: Parts, context: RequestContext[Nothing, Nothing]) -> BadgeView:
    """Confirm that the unlock animation was played; a second device learns when it was."""
    await parts.commands.progress.show_badge(context.user_id, context.id(BadgeId))
    return await parts.queries.progress.badge(context.id(BadgeId))

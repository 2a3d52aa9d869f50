"""The caller's progress over REST: XP, level, streak, tier and badges."""

from __future__ import annotations

from engine.kernel.ids import BadgeId
from engine.progress.views import BadgeView, ProgressView
from gateway.http.decoding import Nothing
from gateway.http.endpoint import Ask
from gateway.http.parts import Parts


async def progress(parts: Parts, ask: Ask[Nothing, Nothing]) -> ProgressView:
    """XP, level, streak, what the next trust tier asks for, badges, the LIVE record."""
    return await parts.queries.progress.progress(ask.user_id)


async def badge_shown(parts: Parts, ask: Ask[Nothing, Nothing]) -> BadgeView:
    """Confirm that the unlock animation was played; a second device learns when it was."""
    await parts.commands.progress.show_badge(ask.user_id, ask.id(BadgeId))
    return await parts.queries.progress.badge(ask.id(BadgeId))

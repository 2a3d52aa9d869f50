"""The caller's own account and progress, and the snapshot a client starts from."""

from __future__ import annotations

from engine.views import BadgeView, MeView, ProgressView, Snapshot
from gateway.http.endpoint import Ask
from gateway.http.parts import Parts
from gateway.http.requests import AccountEdit, Nothing


async def me(parts: Parts, ask: Ask[Nothing, Nothing]) -> MeView:
    """Account, LIVE state, trust tier, XP, level and streak."""
    return await parts.queries.me(ask.user_id)


async def edit(parts: Parts, ask: Ask[AccountEdit, Nothing]) -> MeView:
    """Change the time zone, whose days the streak counts."""
    await parts.commands.set_time_zone(ask.user_id, ask.body.time_zone)
    return await parts.queries.me(ask.user_id)


async def progress(parts: Parts, ask: Ask[Nothing, Nothing]) -> ProgressView:
    """XP, level, streak, what the next trust tier asks for, badges, the LIVE record."""
    return await parts.queries.progress(ask.user_id)


async def badge_shown(parts: Parts, ask: Ask[Nothing, Nothing]) -> BadgeView:
    """Confirm that the unlock animation was played; a second device learns when it was."""
    await parts.commands.show_badge(ask.user_id, ask.badge_id)
    return await parts.queries.badge(ask.badge_id)


async def snapshot(parts: Parts, ask: Ask[Nothing, Nothing]) -> Snapshot:
    """Everything WELCOME carries: LIVE state, open offers, tasks, and where the log stands."""
    found = await parts.queries.snapshots([ask.user_id])
    return found[ask.user_id]

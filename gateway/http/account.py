"""The caller's own account, and the snapshot a client starts from."""

from __future__ import annotations

from engine.views import MeView, Snapshot
from gateway.http.calls import Ask
from gateway.http.requests import Nothing
from gateway.parts import Parts


async def me(parts: Parts, ask: Ask[Nothing, Nothing]) -> MeView:
    """Account, LIVE state, trust tier and XP."""
    return await parts.queries.me(ask.user_id)


async def snapshot(parts: Parts, ask: Ask[Nothing, Nothing]) -> Snapshot:
    """Everything WELCOME carries: LIVE state, open offers, tasks, and where the log stands."""
    found = await parts.queries.snapshots([ask.user_id])
    return found[ask.user_id]

"""Tasks that are stuck, and what an operator can do about one."""

from __future__ import annotations

from msgspec import Struct

from engine.money.admin_views import StuckView
from engine.tasks.views import TaskView
from gateway.http.admin.requests import StuckQuery, Why
from gateway.http.endpoint import Ask
from gateway.http.parts import Parts
from gateway.http.requests import Nothing


class StuckTasks(Struct, frozen=True):
    """One page of stuck tasks, the longest stuck first."""

    items: list[StuckView]
    next_cursor: str | None


async def stuck(parts: Parts, ask: Ask[Nothing, StuckQuery]) -> StuckTasks:
    """Tasks whose money waits for something that does not come."""
    query = ask.query
    items, end = await parts.admin.money.stuck(
        query.kind, parts.cursors.after(ask.user_id, query.cursor), query.limit
    )
    return StuckTasks(items, parts.cursors.next(ask.user_id, end))


async def cancel(parts: Parts, ask: Ask[Why, Nothing]) -> TaskView:
    """End a task that nobody has arrived for, with a full refund."""
    await parts.admin.tasks.cancel(ask.user_id, ask.task_id, ask.body.reason)
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def dispute(parts: Parts, ask: Ask[Why, Nothing]) -> TaskView:
    """Lock the money of a task that a hustler holds, to decide about it."""
    await parts.admin.tasks.dispute(ask.user_id, ask.task_id, ask.body.reason)
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)


async def unlock_codes(parts: Parts, ask: Ask[Why, Nothing]) -> TaskView:
    """Let the hustler try the task's codes again at once."""
    await parts.admin.tasks.unlock_codes(ask.user_id, ask.task_id, ask.body.reason)
    return await parts.queries.tasks.view(ask.user_id, ask.task_id)

"""Tasks that are stuck, and what an admin can do about one."""

from __future__ import annotations

from msgspec import Struct

from engine.kernel.ids import TaskId
from engine.money.admin_views import StuckKind, StuckView
from engine.tasks.views import TaskView
from gateway.contract.fields import Cursor, Limit
from gateway.http.admin.shapes import Why
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts


class StuckQuery(Sent, frozen=True):
    """GET /v1/admin/tasks/stuck?kind&cursor&limit."""

    kind: StuckKind | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class StuckTasks(Struct, frozen=True):
    """One page of stuck tasks, the longest stuck first."""

    items: list[StuckView]
    next_cursor: str | None


async def stuck(parts: Parts, context: RequestContext[Nothing, StuckQuery]) -> StuckTasks:
    """Tasks whose money waits for something that does not come."""
    query = context.query
    items, end = await parts.admin.money.stuck(
        query.kind, parts.cursors.after(context.user_id, query.cursor), query.limit
    )
    return StuckTasks(items, parts.cursors.next(context.user_id, end))


async def cancel(parts: Parts, context: RequestContext[Why, Nothing]) -> TaskView:
    """End a task that nobody has arrived for, with a full refund."""
    await parts.admin.tasks.cancel(context.user_id, context.id(TaskId), context.body.reason)
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))


async def dispute(parts: Parts, context: RequestContext[Why, Nothing]) -> TaskView:
    """Lock the money of a task that a hustler holds, to decide about it."""
    await parts.admin.tasks.dispute(context.user_id, context.id(TaskId), context.body.reason)
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))


async def unlock_codes(parts: Parts, context: RequestContext[Why, Nothing]) -> TaskView:
    """Let the hustler try the task's codes again at once."""
    await parts.admin.tasks.unlock_codes(context.user_id, context.id(TaskId), context.body.reason)
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))

"""The admin queue at a glance, its items, and what admins did."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from engine.admin.views import ActionView, AdminOverview, ItemState, ItemView
from engine.kernel.ids import ItemId
from gateway.contract.fields import Cursor, Limit
from gateway.http.admin.shapes import Why, name
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts

Kind = Annotated[str, name("A-Z_", 60, "1 to 60 capital letters and underscores")]
TargetType = Annotated[str, name("a-z_", 60, "1 to 60 small letters and underscores")]
Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*(?![\s\S])",
        description="an id of 1 to 200 characters",
    ),
]


class ItemsQuery(Sent, frozen=True):
    """GET /v1/admin/items?kind&state&cursor&limit."""

    kind: Kind | None = None
    state: ItemState = "OPEN"
    cursor: Cursor | None = None
    limit: Limit = 20


class ActionsQuery(Sent, frozen=True):
    """GET /v1/admin/actions?target_type&target_id&cursor&limit."""

    target_type: TargetType | None = None
    target_id: Id | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class Items(Struct, frozen=True):
    """One page of items, the oldest first."""

    items: list[ItemView]
    next_cursor: str | None


class Actions(Struct, frozen=True):
    """One page of what admins did, the newest first."""

    items: list[ActionView]
    next_cursor: str | None


async def overview(parts: Parts, context: RequestContext[Nothing, Nothing]) -> AdminOverview:  # noqa: ARG001
    """What waits for a person: how much of each kind, and since when."""
    return await parts.admin.queue.overview()


async def page(parts: Parts, context: RequestContext[Nothing, ItemsQuery]) -> Items:
    """Items that the service asked a person to look at."""
    query = context.query
    items, end = await parts.admin.queue.items(
        query.kind, query.state, parts.cursors.after(context.user_id, query.cursor), query.limit
    )
    return Items(items, parts.cursors.next(context.user_id, end))


async def close(parts: Parts, context: RequestContext[Why, Nothing]) -> ItemView:
    """Take an item out of the admin queue."""
    item = context.id(ItemId)
    await parts.admin.queue.close(context.user_id, item, context.body.reason)
    return await parts.admin.queue.item(item)


async def actions(parts: Parts, context: RequestContext[Nothing, ActionsQuery]) -> Actions:
    """What admins did, to whom and why."""
    query = context.query
    items, end = await parts.admin.queue.actions(
        query.target_type,
        query.target_id,
        parts.cursors.after(context.user_id, query.cursor),
        query.limit,
    )
    return Actions(items, parts.cursors.next(context.user_id, end))

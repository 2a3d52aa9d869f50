"""The desk at a glance, its items, and what admins did."""

from __future__ import annotations

from msgspec import Struct

from engine.admin.views import ActionView, DeskView, ItemView
from engine.kernel.ids import ItemId
from gateway.http.admin.requests import ActionsQuery, ItemsQuery, Why
from gateway.http.endpoint import Ask
from gateway.http.parts import Parts
from gateway.http.requests import Nothing


class Items(Struct, frozen=True):
    """One page of items, the oldest first."""

    items: list[ItemView]
    next_cursor: str | None


class Actions(Struct, frozen=True):
    """One page of what admins did, the newest first."""

    items: list[ActionView]
    next_cursor: str | None


async def overview(parts: Parts, ask: Ask[Nothing, Nothing]) -> DeskView:  # noqa: ARG001
    """What waits for a person: how much of each kind, and since when."""
    return await parts.admin.queue.overview()


async def page(parts: Parts, ask: Ask[Nothing, ItemsQuery]) -> Items:
    """Items that the service asked a person to look at."""
    query = ask.query
    items, end = await parts.admin.queue.items(
        query.kind, query.state, parts.cursors.after(ask.user_id, query.cursor), query.limit
    )
    return Items(items, parts.cursors.next(ask.user_id, end))


async def close(parts: Parts, ask: Ask[Why, Nothing]) -> ItemView:
    """Take an item off the desk."""
    item = ItemId(ask.path["item_id"])
    await parts.admin.queue.close(ask.user_id, item, ask.body.reason)
    return await parts.admin.queue.item(item)


async def actions(parts: Parts, ask: Ask[Nothing, ActionsQuery]) -> Actions:
    """What admins did, to whom and why."""
    query = ask.query
    items, end = await parts.admin.queue.actions(
        query.target_type,
        query.target_id,
        parts.cursors.after(ask.user_id, query.cursor),
        query.limit,
    )
    return Actions(items, parts.cursors.next(ask.user_id, end))

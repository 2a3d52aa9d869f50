"""The admins' work queue and the audit record of their actions."""

from __future__ import annotations

from engine.admin.views import ActionView, AdminOverview, ItemState, ItemView
from engine.kernel.execution import Execution
from engine.kernel.ids import (
    ItemId,
    UserId,
)
from engine.kernel.store import Cursor, Store


class AdminQueue:
    """Reads and closes the items of the admin queue, and reads the audit record."""

    def __init__(self, execution: Execution, store: Store) -> None:
        self._execution = execution
        self._store = store

    async def close(self, admin: UserId, item: ItemId, reason: str) -> None:
        """Closes an item of the queue with a reason; closing it twice changes nothing."""
        await self._execution.run("close_admin_item", admin, item, reason)

    async def overview(self) -> AdminOverview:
        """Returns what waits for an admin: the number and the age of the oldest, by kind."""
        return await self._store.one(AdminOverview, "admin_overview")

    async def items(
        self, kind: str | None, state: ItemState | None, after: Cursor | None, limit: int
    ) -> tuple[list[ItemView], Cursor | None]:
        """Returns a page of items of one kind and state (None: any), oldest first, and its end."""
        return await self._store.page(
            ItemView, "admin_items", kind, state, after=after, limit=limit
        )

    async def item(self, item: ItemId) -> ItemView:
        """Returns an item; NOT_FOUND for an unknown id."""
        return await self._store.found(ItemView, "admin_item", item)

    async def actions(
        self, target_type: str | None, target_id: str | None, after: Cursor | None, limit: int
    ) -> tuple[list[ActionView], Cursor | None]:
        """Returns a page of admins' actions on a target (None: any), newest first, and its end."""
        return await self._store.page(
            ActionView, "admin_actions", target_type, target_id, after=after, limit=limit
        )

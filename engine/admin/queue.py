"""The work queue of admins, and the record of what they did."""

from __future__ import annotations

from engine.admin.views import ActionView, AdminOverview, ItemState, ItemView
from engine.kernel.execution import Execution
from engine.kernel.ids import (
    ItemId,
    UserId,
)
from engine.kernel.store import Cursor, Store


class AdminQueue:
    """Reads what waits for a person, closes items, and reads the audit record."""

    def __init__(self, execution: Execution, store: Store) -> None:
        self._execution = execution
        self._store = store

    async def close(self, admin: UserId, item: ItemId, reason: str) -> None:
        """Take an item out of the admin queue; closing it twice changes nothing."""
        await self._execution.run("close_admin_item", admin, item, reason)

    async def overview(self) -> AdminOverview:
        """What waits, by kind."""
        return await self._store.one(AdminOverview, "admin_overview")

    async def items(
        self, kind: str | None, state: ItemState | None, after: Cursor | None, limit: int
    ) -> tuple[list[ItemView], Cursor | None]:
        """Items, the oldest first."""
        return await self._store.page(
            ItemView, "admin_items", kind, state, after=after, limit=limit
        )

    async def item(self, item: ItemId) -> ItemView:
        """One item."""
        return await self._store.found(ItemView, "admin_item", item)

    async def actions(
        self, target_type: str | None, target_id: str | None, after: Cursor | None, limit: int
    ) -> tuple[list[ActionView], Cursor | None]:
        """What admins did, the newest first."""
        return await self._store.page(
            ActionView, "admin_actions", target_type, target_id, after=after, limit=limit
        )

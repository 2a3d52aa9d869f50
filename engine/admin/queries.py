"""What an operator may read. The gateway lets admins alone in here."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from engine.admin.views import (
    ActionView,
    ChargebackState,
    ChargebackView,
    DeskView,
    DisputeFile,
    DisputeState,
    ItemState,
    ItemView,
    MoneyFile,
    SettlementState,
    SettlementView,
    StuckKind,
    StuckView,
    UserFile,
    XpRowView,
)
from engine.kernel import errors
from engine.kernel.ids import AwardId, DisputeId, ItemId, SettlementId, TaskId, UserId
from engine.kernel.store import Store
from engine.queries import Cursor
from engine.views import DisputeView

T = TypeVar("T")

CHARGEBACKS_MAX = 200
"""Most chargebacks one reading answers, the newest."""


class DeskReading:
    """The desk's reading side. NOT_FOUND for what is not there."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def overview(self) -> DeskView:
        """What waits, by kind."""
        return await self._store.one(DeskView, "desk_overview")

    async def items(
        self, kind: str | None, state: ItemState | None, after: Cursor | None, limit: int
    ) -> tuple[list[ItemView], Cursor | None]:
        """Items, the oldest first."""
        return await self._page(ItemView, "desk_items", kind, state, after=after, limit=limit)

    async def item(self, item: ItemId) -> ItemView:
        """One item."""
        return await self._found(ItemView, "desk_item", item)

    async def settlements(
        self,
        state: SettlementState | None,
        after: Cursor | None,
        limit: int,
        *,
        late_only: bool = False,
    ) -> tuple[list[SettlementView], Cursor | None]:
        """Settlements, the oldest first; `late_only` those of payments that came too late."""
        return await self._page(
            SettlementView, "desk_settlements", state, late_only, after=after, limit=limit
        )

    async def settlement(self, settlement: SettlementId) -> SettlementView:
        """One settlement."""
        return await self._found(SettlementView, "desk_settlement", settlement)

    async def chargebacks(self, state: ChargebackState | None) -> list[ChargebackView]:
        """The newest chargebacks, at most `CHARGEBACKS_MAX`."""
        return await self._store.one(
            list[ChargebackView], "desk_chargebacks", state, CHARGEBACKS_MAX
        )

    async def disputes(
        self, state: DisputeState | str | None, after: Cursor | None, limit: int
    ) -> tuple[list[DisputeView], Cursor | None]:
        """Disputes, the oldest first; UNRESOLVED is every state but RESOLVED."""
        return await self._page(DisputeView, "desk_disputes", state, after=after, limit=limit)

    async def dispute(self, dispute: DisputeId) -> DisputeFile:
        """All that a decision stands on."""
        return await self._found(DisputeFile, "desk_dispute", dispute)

    async def stuck(
        self, kind: StuckKind | None, after: Cursor | None, limit: int
    ) -> tuple[list[StuckView], Cursor | None]:
        """Tasks whose money waits for something that does not come, the longest stuck first."""
        return await self._page(StuckView, "desk_stuck", kind, after=after, limit=limit)

    async def money(self, task: TaskId) -> MoneyFile:
        """Every cent of a task, its predecessors and successors."""
        return await self._found(MoneyFile, "task_money", task)

    async def user(self, user: UserId) -> UserFile:
        """An account."""
        return await self._found(UserFile, "desk_user", user)

    async def xp_row(self, award: AwardId) -> XpRowView:
        """One row of the XP ledger."""
        return await self._found(XpRowView, "xp_row", award)

    async def actions(
        self, target_type: str | None, target_id: str | None, after: Cursor | None, limit: int
    ) -> tuple[list[ActionView], Cursor | None]:
        """What admins did, the newest first."""
        return await self._page(
            ActionView, "desk_actions", target_type, target_id, after=after, limit=limit
        )

    async def _found(self, shape: type[T], name: str, *args: object) -> T:
        found = await self._store.maybe(shape, name, *args)
        if found is None:
            raise errors.refusal("NOT_FOUND")
        return found

    async def _page(
        self, shape: type[T], name: str, *args: object, after: Cursor | None, limit: int
    ) -> tuple[list[T], Cursor | None]:
        created_at, last_id = after or (None, None)
        rows = await self._store.rows(name, *args, created_at, last_id, limit + 1)
        items = [msgspec.json.decode(row["item"], type=shape) for row in rows[:limit]]
        if len(rows) <= limit:
            return items, None
        return items, Cursor(rows[limit - 1]["created_at"], rows[limit - 1]["id"])

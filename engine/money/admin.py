"""The admin's reads and commands on money."""

from __future__ import annotations

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    SettlementId,
    TaskId,
    UserId,
)
from engine.kernel.store import Cursor, Store
from engine.money.admin_views import (
    ChargebackState,
    ChargebackView,
    MoneyFile,
    SettlementState,
    SettlementView,
    StuckKind,
    StuckView,
)
from engine.money.provider import LegKind

CHARGEBACKS_MAX = 200
"""Most chargebacks one reading answers, the newest."""


class MoneyAdmin:
    """Reads and repairs settlements, chargebacks, payout accounts and stuck money."""

    def __init__(self, execution: Execution, store: Store) -> None:
        self._execution = execution
        self._store = store

    async def retry_settlement(self, admin: UserId, settlement: SettlementId, reason: str) -> None:
        """Retries a held or delayed settlement now.

        HX010 when it is done, and for a refund while a chargeback on its payment is open.
        """
        await self._execution.run("retry_settlement", admin, settlement, reason)

    async def book_leg(
        self, admin: UserId, settlement: SettlementId, leg: LegKind, reference: str, reason: str
    ) -> None:
        """Books a leg that an admin carried out at the provider; HX010 unless it is HELD."""
        await self._execution.run("book_leg_by_hand", admin, settlement, leg, reference, reason)

    async def requeue_settlement(self, admin: UserId, task: TaskId, reason: str) -> SettlementId:
        """Queues the settlement that an ended task's escrow lacks; HX010 where none is missing."""
        applied = await self._execution.run("requeue_settlement", admin, task, reason)
        return SettlementId(applied.subject)

    async def set_payout_account(
        self, admin: UserId, user: UserId, account: str, *, enabled: bool, reason: str
    ) -> None:
        """Sets a hustler's payout account; enabling one releases held payouts."""
        await self._execution.run("admin_set_payout_account", admin, user, account, enabled, reason)

    async def settlements(
        self,
        state: SettlementState | None,
        after: Cursor | None,
        limit: int,
        *,
        late_only: bool = False,
    ) -> tuple[list[SettlementView], Cursor | None]:
        """Returns a page of settlements, oldest first, and its end.

        `late_only` restricts it to those of payments that came too late.
        """
        return await self._store.page(
            SettlementView, "admin_settlements", state, late_only, after=after, limit=limit
        )

    async def settlement(self, settlement: SettlementId) -> SettlementView:
        """Returns a settlement; NOT_FOUND for an unknown id."""
        return await self._store.found(SettlementView, "admin_settlement", settlement)

    async def chargebacks(self, state: ChargebackState | None) -> list[ChargebackView]:
        """Returns the newest chargebacks, at most `CHARGEBACKS_MAX`."""
        return await self._store.one(
            list[ChargebackView], "admin_chargebacks", state, CHARGEBACKS_MAX
        )

    async def stuck(
        self, kind: StuckKind | None, after: Cursor | None, limit: int
    ) -> tuple[list[StuckView], Cursor | None]:
        """Returns a page of tasks whose money makes no progress, the longest stuck first."""
        return await self._store.page(StuckView, "admin_stuck", kind, after=after, limit=limit)

    async def money(self, task: TaskId) -> MoneyFile:
        """Returns every movement of a task, its predecessors and successors."""
        return await self._store.found(MoneyFile, "task_money", task)

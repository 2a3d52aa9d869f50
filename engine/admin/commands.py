"""What an admin may do. Each command leaves a row in `admin_actions`, with its reason.

Every method raises HX503 for who is no active admin or has a stake in the case, NOT_FOUND for what
is not there, and as `engine.commands` says for the rest. Nothing here overrides a rule: triggers
judge these commands like any other.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from engine.kernel.applied import Applied, EffectSink
from engine.kernel.ids import AwardId, BadgeId, DisputeId, ItemId, SettlementId, TaskId, UserId
from engine.kernel.store import Store
from engine.money.provider import LegKind

Outcome = Literal["HUSTLER", "POSTER", "SPLIT"]
LiveAct = Literal["END_SESSION", "SET_COOLDOWN", "END_COOLDOWN"]


class Desk:
    """The operator's commands."""

    def __init__(self, store: Store, effects: EffectSink) -> None:
        self._store = store
        self._effects = effects

    async def close_item(self, admin: UserId, item: ItemId, reason: str) -> None:
        """Take an item off the desk; closing it twice changes nothing."""
        await self._apply("close_operator_item", admin, item, reason)

    # ── Money ───────────────────────────────────────────────────────────────────────────────────

    async def retry_settlement(self, admin: UserId, settlement: SettlementId, reason: str) -> None:
        """Run a held or delayed settlement again, now.

        HX010 when it is done, and for a refund while a chargeback on its payment is open.
        """
        await self._apply("retry_settlement", admin, settlement, reason)

    async def book_leg(
        self, admin: UserId, settlement: SettlementId, leg: LegKind, reference: str, reason: str
    ) -> None:
        """Book a leg that a person carried out at the provider; HX010 unless it is HELD."""
        await self._apply("book_leg_by_hand", admin, settlement, leg, reference, reason)

    async def requeue_settlement(self, admin: UserId, task: TaskId, reason: str) -> SettlementId:
        """Make the settlement that an ended task's held money lacks; HX010 where none is missing."""
        applied = await self._apply("requeue_settlement", admin, task, reason)
        assert applied.subject_id is not None
        return SettlementId(applied.subject_id)

    async def set_payout_account(
        self, admin: UserId, user: UserId, account: str, *, enabled: bool, reason: str
    ) -> None:
        """Say where a hustler is paid; an enabled account sets held payouts free."""
        await self._apply("admin_set_payout_account", admin, user, account, enabled, reason)

    # ── Disputes ────────────────────────────────────────────────────────────────────────────────

    async def request_evidence(self, admin: UserId, dispute: DisputeId, reason: str) -> None:
        """Give both sides another 72 hours for evidence."""
        await self._apply("advance_dispute", admin, dispute, "EVIDENCE_REQUESTED", reason)

    async def escalate(self, admin: UserId, dispute: DisputeId, reason: str) -> None:
        """Hand the dispute on; what is left is the decision."""
        await self._apply("advance_dispute", admin, dispute, "ESCALATED", reason)

    async def resolve(
        self,
        admin: UserId,
        dispute: DisputeId,
        outcome: Outcome,
        release_cents: int | None,
        reason: str,
    ) -> None:
        """Decide. A SPLIT releases `release_cents` to the hustler's side and refunds the rest."""
        await self._apply("resolve_dispute", admin, dispute, outcome, release_cents, reason)

    # ── Tasks ───────────────────────────────────────────────────────────────────────────────────

    async def cancel(self, admin: UserId, task: TaskId, reason: str) -> None:
        """End a task that nobody has arrived for, with a full refund."""
        await self._apply("admin_cancel_task", admin, task, reason)

    async def dispute(self, admin: UserId, task: TaskId, reason: str) -> None:
        """Lock the money of a task that a hustler holds, for another admin to decide about it."""
        await self._apply("admin_dispute_task", admin, task, reason)

    async def unlock_codes(self, admin: UserId, task: TaskId, reason: str) -> None:
        """Let the hustler try the task's codes again at once."""
        await self._apply("unlock_codes", admin, task, reason)

    # ── People ──────────────────────────────────────────────────────────────────────────────────

    async def suspend(self, admin: UserId, user: UserId, reason: str) -> None:
        """Shut an account: its tokens are refused, its LIVE session ends."""
        await self._apply("suspend_user", admin, user, reason)

    async def reinstate(self, admin: UserId, user: UserId, reason: str) -> None:
        """Open a shut account again."""
        await self._apply("reinstate_user", admin, user, reason)

    async def ban_from_live(
        self, admin: UserId, user: UserId, until: datetime, reason: str
    ) -> None:
        """No LIVE mode until then, at most ten years ahead; an open session ends."""
        await self._apply("live_ban", admin, user, until, reason)

    async def lift_live_ban(self, admin: UserId, user: UserId, reason: str) -> None:
        """End a ban from LIVE mode now, whoever set it."""
        await self._apply("lift_live_ban", admin, user, reason)

    async def live(
        self, admin: UserId, user: UserId, act: LiveAct, until: datetime | None, reason: str
    ) -> None:
        """End one LIVE session or one cooldown, or set a cooldown of at most seven days.

        HX601 for ending a forced rest, which nobody ends.
        """
        await self._apply("admin_live", admin, user, act, until, reason)

    async def set_trust_tier(self, admin: UserId, user: UserId, tier: int, reason: str) -> None:
        """Put a hustler on tier 1 to 4; the trust ledger says by whom."""
        await self._apply("set_trust_tier", admin, user, tier, reason)

    async def grant_badge(self, admin: UserId, user: UserId, badge_type: str, reason: str) -> None:
        """Grant a badge that was not earned by its rule."""
        await self._apply("grant_badge", admin, user, badge_type, reason)

    async def revoke_badge(self, admin: UserId, badge: BadgeId, reason: str) -> None:
        """Hide a badge that was granted in error."""
        await self._apply("revoke_badge", admin, badge, reason)

    async def flag_xp(self, admin: UserId, award: AwardId, reason: str) -> None:
        """Mark a row of the XP ledger as wrong; the row and the total stay (architecture §8.4)."""
        await self._apply("flag_xp", admin, award, reason)

    async def _apply(self, name: str, *args: object) -> Applied:
        applied = await self._store.one(Applied, name, *args)
        self._effects.applied(applied)
        return applied

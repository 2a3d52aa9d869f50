"""What an operator sees, as typed values (docs/desk.md).

Times are aware UTC datetimes, money integer cents, ages seconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from engine.money.provider import LegKind
from engine.views import (
    BadgeView,
    DisputeView,
    EscrowState,
    LiveView,
    Mode,
    ProofView,
    TaskState,
    TransitionView,
)

ItemState = Literal["OPEN", "CLOSED"]
SettlementState = Literal["PENDING", "HELD", "DONE"]
ChargebackState = Literal["INQUIRY", "CLOSED", "OPEN", "WON", "LOST"]
DisputeState = Literal["OPEN", "EVIDENCE_REQUESTED", "ESCALATED", "RESOLVED"]
StuckKind = Literal[
    "TRAPPED_MONEY",
    "MONEY_NOT_MOVED",
    "HOLDER_SUSPENDED",
    "WORKING_STALE",
    "ARRIVED_IDLE",
    "NOT_ARRIVED",
    "UNREVIEWED",
    "NO_CHOICE",
    "PAST_DEADLINE",
]


class WaitingView(Struct, frozen=True):
    """How much of one kind waits, and for how long the oldest of it has."""

    subject: Literal[
        "ITEM",
        "SETTLEMENT",
        "FAILED_TRANSFER",
        "LATE_PAYMENT",
        "CHARGEBACK",
        "DISPUTE",
        "DISPUTE_PAST_DUE",
        "STUCK_TASK",
    ]
    kind: str
    """Of an item or a stuck task its kind, of the others their state."""
    count: int
    oldest_at: datetime
    oldest_age_s: float


class DeskView(Struct, frozen=True):
    """Everything that waits for a person; empty when nothing does."""

    at: datetime
    waiting: list[WaitingView]


class ItemView(Struct, frozen=True):
    """Something that the service asked a person to look at."""

    id: UUID
    kind: str
    subject: str
    details: dict[str, Any]
    opened_at: datetime
    closed_at: datetime | None
    closed_by: UUID | None
    """None while it is open, and where what it was about went away by itself."""


class LegView(Struct, frozen=True):
    """One movement of a settlement; its reference is known before it is done where it takes time."""

    leg: LegKind
    amount_cents: int
    reference: str | None
    done: bool


class SettlementView(Struct, frozen=True):
    """Money on its way out of an escrow."""

    id: UUID
    task_id: UUID
    escrow_id: UUID
    escrow_state: EscrowState
    amount_cents: int
    kind: Literal["RELEASE", "REFUND", "SPLIT"]
    state: SettlementState
    late_payment: str | None
    """The payment that came after its escrow was cancelled, and goes back."""
    fee_cents: int
    legs: list[LegView]
    attempts: int
    last_error: str | None
    due_at: datetime
    created_at: datetime
    done_at: datetime | None


class ChargebackView(Struct, frozen=True):
    """A poster's bank took a payment back, or asks about it (INQUIRY, CLOSED)."""

    id: str
    task_id: UUID
    escrow_id: UUID
    escrow_state: EscrowState
    payment: str
    amount_cents: int
    state: ChargebackState
    opened_at: datetime
    closed_at: datetime | None


class ExternalRefundView(Struct, frozen=True):
    """A refund that somebody made at the provider, without us."""

    id: str
    escrow_id: UUID
    payment: str
    amount_cents: int
    is_sum: bool
    """Whether it is the sum that a charge has given back, and not one refund."""
    state: Literal["PENDING", "SUCCEEDED", "FAILED"]
    opened_at: datetime


class ActionView(Struct, frozen=True):
    """One act of an admin, as it stays on record."""

    id: UUID
    admin_id: UUID
    action_type: str
    target_type: str
    target_id: str
    reason: str
    metadata: dict[str, Any]
    created_at: datetime


class DisputeFile(Struct, frozen=True):
    """All that a decision stands on: evidence, proofs, the task's steps, and who did what."""

    dispute: DisputeView
    amount_cents: int
    escrow_state: EscrowState
    poster_id: UUID
    hustler_id: UUID
    task_state: TaskState
    proofs: list[ProofView]
    history: list[TransitionView]
    chargebacks: list[ChargebackView]
    actions: list[ActionView]


class StuckView(Struct, frozen=True):
    """A task whose held money waits for something that does not come."""

    task_id: UUID
    state: TaskState
    mode: Mode
    kind: StuckKind
    since: datetime
    poster_id: UUID
    hustler_id: UUID | None
    escrow_id: UUID
    escrow_state: EscrowState
    amount_cents: int
    settlement_id: UUID | None


class FlagView(Struct, frozen=True):
    """An operator found an XP award wrong; the award itself stays."""

    flagged_by: UUID
    reason: str
    flagged_at: datetime


class XpRowView(Struct, frozen=True):
    """One row of the XP ledger, and its flag."""

    id: UUID
    user_id: UUID
    task_id: UUID
    escrow_id: UUID
    effective_xp: int
    total_xp: int
    created_at: datetime
    flag: FlagView | None


class PayoutAccountFile(Struct, frozen=True):
    """Where a hustler is paid."""

    account_id: str
    payouts_enabled: bool
    closed_at: datetime | None
    """Since when it is deleted at the provider, or taken from us."""
    updated_at: datetime


class UserFile(Struct, frozen=True):
    """An account as an operator sees it, with its 50 newest XP awards."""

    id: UUID
    role: Literal["poster", "hustler", "dual", "admin"]
    first_name: str
    account_status: Literal["ACTIVE", "PAUSED", "SUSPENDED"]
    trust_tier: int
    trust_points: float
    total_xp: int
    created_at: datetime
    live: LiveView
    banned_until: datetime | None
    payout_account: PayoutAccountFile | None
    badges: list[BadgeView]
    xp: list[XpRowView]


class LineTask(Struct, frozen=True):
    """One task of a line of successors."""

    id: UUID
    state: TaskState
    mode: Mode
    price_cents: int
    cancel_reason: str | None
    created_at: datetime


class EscrowFile(Struct, frozen=True):
    """One escrow with the provider's names for its movements; `held_cents` is what is in it now."""

    id: UUID
    task_id: UUID
    state: EscrowState
    amount_cents: int
    is_current: bool
    replaces: UUID | None
    payment: str | None
    transfer: str | None
    refund: str | None
    release_cents: int | None
    refund_cents: int | None
    fee_cents: int | None
    held_cents: int
    created_at: datetime
    funded_at: datetime | None
    ended_at: datetime | None


class EntryView(Struct, frozen=True):
    """One entry of the journal: + is money that came in, − money that went out."""

    escrow_id: UUID
    kind: Literal["CHARGE", "TRANSFER", "FEE", "REFUND"]
    amount_cents: int
    reference: str | None
    at: datetime


class MoneyFile(Struct, frozen=True):
    """Every cent of a task, its predecessors and successors; each list oldest first."""

    task_id: UUID
    line: list[LineTask]
    escrows: list[EscrowFile]
    settlements: list[SettlementView]
    entries: list[EntryView]
    chargebacks: list[ChargebackView]
    external_refunds: list[ExternalRefundView]
    xp: list[XpRowView]

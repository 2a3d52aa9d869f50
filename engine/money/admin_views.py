"""What admins see of money; amounts are integer cents, ages seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from engine.kernel.states import EscrowState, Mode, TaskState
from engine.money.provider import LegKind
from engine.progress.admin_views import XpRowView

SettlementState = Literal["PENDING", "HELD", "DONE"]


ChargebackState = Literal["INQUIRY", "CLOSED", "OPEN", "WON", "LOST"]


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


class LineageTask(Struct, frozen=True):
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
    line: list[LineageTask]
    escrows: list[EscrowFile]
    settlements: list[SettlementView]
    entries: list[EntryView]
    chargebacks: list[ChargebackView]
    external_refunds: list[ExternalRefundView]
    xp: list[XpRowView]

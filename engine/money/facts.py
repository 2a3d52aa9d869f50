"""The normalised form of a provider's event: the `fact` that `book_provider_event` applies."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

FactKind = Literal[
    "PAYMENT_SUCCEEDED",
    "TRANSFER_SUCCEEDED",
    "TRANSFER_REVERSED",
    "REFUND_SUCCEEDED",
    "REFUND_FAILED",
    "REFUND_PENDING",
    "CHARGE_REFUNDED",
    "INQUIRY_OPENED",
    "INQUIRY_CLOSED",
    "CHARGEBACK_OPENED",
    "CHARGEBACK_WON",
    "CHARGEBACK_LOST",
    "ACCOUNT_UPDATED",
    "ACCOUNT_CLOSED",
    "UNKNOWN_STATUS",
    "IGNORED",
    "MISMATCH",
]


class Fact(Struct, frozen=True, omit_defaults=True):
    """One event in our words; what it does not know is left out of its JSON."""

    kind: FactKind
    escrow_id: str | None = None
    settlement_id: str | None = None
    payment: str | None = None
    """The provider's id of the payment."""
    charge: str | None = None
    """The provider's id of the charge that the payment made."""
    reference: str | None = None
    """The provider's id of the transfer, refund or chargeback."""
    amount_cents: int | None = None
    account_id: str | None = None
    payouts_enabled: bool | None = None
    at: datetime | None = None
    """When it happened at the provider: events arrive in any order."""
    unknown_status: str | None = None
    """A status that is none of those we know; it never counts as a good one."""
    note: str | None = None
    """For people: why it is ignored, or what does not fit."""

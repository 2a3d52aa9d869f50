"""What a provider's event means to us: the `fact` that `book_provider_event` applies."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

FactKind = Literal[
    "PAYMENT_SUCCEEDED",
    "TRANSFER_SUCCEEDED",
    "TRANSFER_REVERSED",
    "REFUND_SUCCEEDED",
    "REFUND_FAILED",
    "CHARGEBACK_OPENED",
    "CHARGEBACK_WON",
    "CHARGEBACK_LOST",
    "ACCOUNT_UPDATED",
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
    reference: str | None = None
    """The provider's id of the transfer, refund or chargeback."""
    amount_cents: int | None = None
    account_id: str | None = None
    payouts_enabled: bool | None = None
    note: str | None = None
    """For people: why it is ignored, or what does not fit."""

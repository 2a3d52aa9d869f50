"""Stripe's objects, as far as we read them: parsed once, from answers and from events alike.

Only a status that is plainly good counts as good. One that we do not know is `unknown_status`: the
object stays where it is, and people look at it. Whatever Stripe may leave out may be null too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from engine.money.facts import FactKind
from engine.money.provider import MovementState, PaymentFailed

CURRENCY: Final = "usd"


class PaymentIntent(Struct, frozen=True):
    """A payment of a poster."""

    id: str
    status: str
    amount: int
    currency: str
    created: int = 0
    amount_received: int | None = None
    metadata: dict[str, Any] | None = None
    client_secret: str | None = None
    latest_charge: Any = None

    @property
    def state(self) -> MovementState:
        """The port's state; PENDING while the poster or the bank has still to act."""
        if self.unknown_status is not None:
            return "PENDING"
        return _PAYMENT_STATES[self.status]

    @property
    def unknown_status(self) -> str | None:
        """The status where it is unknown, or where less was paid than asked for; else None."""
        if self.status not in _PAYMENT_STATES:
            return self.status
        received = self.amount if self.amount_received is None else self.amount_received
        if self.status == "succeeded" and received < self.amount:
            return f"succeeded with {received} of {self.amount}"
        return None

    @property
    def charge(self) -> str | None:
        """The id of the charge that the payment made, or None."""
        return self.latest_charge if isinstance(self.latest_charge, str) else None


class Transfer(Struct, frozen=True):
    """Money on its way to a hustler's account. It is there as soon as it exists."""

    id: str
    amount: int
    currency: str
    created: int = 0
    amount_reversed: int | None = None
    metadata: dict[str, Any] | None = None
    status: str | None = None
    """Of older API versions alone."""

    @property
    def state(self) -> MovementState:
        """FAILED once it was reversed in full; PENDING while `unknown_status` is set."""
        if (self.amount_reversed or 0) >= self.amount:
            return "FAILED"
        return "SUCCEEDED" if self.unknown_status is None else "PENDING"

    @property
    def unknown_status(self) -> str | None:
        """What keeps it from being a whole transfer that has arrived, or None."""
        if self.status not in (None, "paid"):
            return self.status
        if 0 < (self.amount_reversed or 0) < self.amount:
            return f"reversed by {self.amount_reversed} of {self.amount}"
        return None


class Refund(Struct, frozen=True):
    """Money on its way back to a poster."""

    id: str
    amount: int
    currency: str
    created: int = 0
    status: str | None = None
    payment_intent: str | None = None
    charge: str | None = None
    metadata: dict[str, Any] | None = None
    failure_reason: str | None = None

    @property
    def state(self) -> MovementState:
        """The port's state."""
        return _REFUND_STATES.get(self.status, "PENDING")

    @property
    def unknown_status(self) -> str | None:
        """The status where it is unknown, else None."""
        return None if self.status in _REFUND_STATES else self.status


class Charge(Struct, frozen=True):
    """What a payment took from the poster, with the sum that it has given back."""

    id: str
    currency: str = CURRENCY
    amount_refunded: int | None = None
    payment_intent: str | None = None


class Dispute(Struct, frozen=True):
    """A chargeback, or the inquiry before one."""

    id: str
    amount: int
    currency: str
    status: str
    payment_intent: str | None = None
    charge: str | None = None

    @property
    def fact_kind(self) -> FactKind:
        """The fact of its status; an unknown status leaves the chargeback open."""
        return _DISPUTE_STATES.get(self.status, "CHARGEBACK_OPENED")

    @property
    def unknown_status(self) -> str | None:
        """The status where it is unknown, else None."""
        return None if self.status in _DISPUTE_STATES else self.status


class Account(Struct, frozen=True):
    """A hustler's connected account."""

    id: str
    payouts_enabled: bool | None = None
    capabilities: dict[str, str] | None = None
    deleted: bool | None = None

    @property
    def can_be_paid(self) -> bool:
        """Whether a transfer to it would arrive and go on to its holder's bank."""
        transfers = (self.capabilities or {}).get("transfers", "active")
        return self.payouts_enabled is True and transfers == "active" and not self.deleted


class EventData(Struct, frozen=True):
    """What an event carries: the object after the change."""

    object: dict[str, Any]


class Event(Struct, frozen=True):
    """Something that happened at Stripe."""

    id: str
    type: str
    data: EventData
    livemode: bool
    created: int | None = None
    account: str | None = None
    """The connected account it happened on; none for our own."""


_PAYMENT_STATES: Final[Mapping[str, MovementState]] = {
    "requires_payment_method": "PENDING",
    "requires_confirmation": "PENDING",
    "requires_action": "PENDING",
    "requires_capture": "PENDING",
    "processing": "PENDING",
    "succeeded": "SUCCEEDED",
    "canceled": "FAILED",
}
_REFUND_STATES: Final[Mapping[str | None, MovementState]] = {
    None: "PENDING",
    "pending": "PENDING",
    "requires_action": "PENDING",
    "succeeded": "SUCCEEDED",
    "failed": "FAILED",
    "canceled": "FAILED",
}
_DISPUTE_STATES: Final[Mapping[str, FactKind]] = {
    "warning_needs_response": "INQUIRY_OPENED",
    "warning_under_review": "INQUIRY_OPENED",
    "warning_closed": "INQUIRY_CLOSED",
    "needs_response": "CHARGEBACK_OPENED",
    "under_review": "CHARGEBACK_OPENED",
    "won": "CHARGEBACK_WON",
    "lost": "CHARGEBACK_LOST",
}

S = TypeVar("S", bound=Struct)


def read(answer: Mapping[str, Any], kind: type[S]) -> S:
    """Returns Stripe's answer as its type; PaymentFailed for one that does not parse."""
    try:
        return msgspec.convert(dict(answer), kind)
    except msgspec.ValidationError as error:
        raise PaymentFailed(f"Stripe's answer is no {kind.__name__}: {error}.") from error


def metadata_of(thing: PaymentIntent | Transfer | Refund, name: str) -> str | None:
    """Returns a value of an object's metadata; None where it is missing, empty or null."""
    value = (thing.metadata or {}).get(name)
    return value if isinstance(value, str) else None

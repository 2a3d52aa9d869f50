"""Stripe's objects, as far as we read them: parsed once, from answers and from events alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from engine.money.provider import MovementState, PaymentFailed

CURRENCY: Final = "usd"


class PaymentIntent(Struct, frozen=True):
    """A payment of a poster."""

    id: str
    status: str
    amount: int
    currency: str
    created: int = 0
    amount_received: int = 0
    metadata: dict[str, str] = {}
    client_secret: str | None = None
    latest_charge: str | None = None

    @property
    def state(self) -> MovementState:
        """In the port's words; what waits for the poster or the bank is PENDING."""
        return _PAYMENT_STATES.get(self.status, "PENDING")


class Transfer(Struct, frozen=True):
    """Money on its way to a hustler's account. It is there as soon as it exists."""

    id: str
    amount: int
    currency: str
    created: int = 0
    amount_reversed: int = 0
    metadata: dict[str, str] = {}

    @property
    def state(self) -> MovementState:
        """FAILED once it was taken back in full."""
        return "FAILED" if self.amount_reversed >= self.amount else "SUCCEEDED"


class Refund(Struct, frozen=True):
    """Money on its way back to a poster."""

    id: str
    amount: int
    currency: str
    created: int = 0
    status: str | None = None
    payment_intent: str | None = None
    metadata: dict[str, str] = {}
    failure_reason: str | None = None

    @property
    def state(self) -> MovementState:
        """In the port's words."""
        return _REFUND_STATES.get(self.status or "", "PENDING")


class Dispute(Struct, frozen=True):
    """A chargeback, or the inquiry before one."""

    id: str
    amount: int
    currency: str
    status: str
    payment_intent: str | None = None


class Account(Struct, frozen=True):
    """A hustler's connected account."""

    id: str
    payouts_enabled: bool | None = None


class EventData(Struct, frozen=True):
    """What an event carries: the object after the change."""

    object: dict[str, Any]


class Event(Struct, frozen=True):
    """Something that happened at Stripe."""

    id: str
    type: str
    data: EventData
    livemode: bool
    created: int = 0
    account: str | None = None
    """The connected account it happened on; none for our own."""


_PAYMENT_STATES: Final[Mapping[str, MovementState]] = {
    "succeeded": "SUCCEEDED",
    "canceled": "FAILED",
}
_REFUND_STATES: Final[Mapping[str, MovementState]] = {
    "succeeded": "SUCCEEDED",
    "failed": "FAILED",
    "canceled": "FAILED",
}

S = TypeVar("S", bound=Struct)


def read(answer: Mapping[str, Any], kind: type[S]) -> S:
    """An answer of Stripe's as its type; PaymentFailed for one that we do not understand."""
    try:
        return msgspec.convert(dict(answer), kind)
    except msgspec.ValidationError as error:
        raise PaymentFailed(f"Stripe's answer is no {kind.__name__}: {error}.") from error

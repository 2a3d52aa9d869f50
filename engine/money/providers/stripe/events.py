"""Translates Stripe's events to facts: pure, and the same for webhooks and for replays.

A payment or transfer is ours when its metadata carries our id; refunds and disputes, which others
make too, are ours by their payment, which the database knows or does not. Everything else on the
same Stripe account is none of our business and recorded as IGNORED; what is ours but does not fit
is a MISMATCH, which people have to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from engine.money.facts import Fact, FactKind
from engine.money.provider import MovementState
from engine.money.providers.stripe.objects import (
    CURRENCY,
    Account,
    Charge,
    Dispute,
    Event,
    PaymentIntent,
    Refund,
    Transfer,
    metadata_of,
)


class NotAnEvent(Exception):
    """The text is not one of Stripe's events."""


def parse(body: bytes) -> Event:
    """Returns a webhook's body as an event; raises NotAnEvent."""
    try:
        return msgspec.json.decode(body, type=Event)
    except (ValueError, RecursionError) as error:
        raise NotAnEvent(str(error)) from error


def fact_of(event: Event, *, livemode: bool) -> Fact:
    """Returns the event as a fact; `livemode` says whether our key moves real money."""
    translate = _TRANSLATIONS.get(event.type)
    if translate is None and event.type.startswith(_DISPUTES):
        translate = _dispute  # its object says how it stands, whatever the event is called
    if translate is None:
        return _ignored("Not needed.")
    if event.livemode != livemode:
        return _ignored("From the other mode, test or live.")
    if event.account is not None and event.type not in _OF_ACCOUNTS:
        return _ignored("Happened on a connected account.")
    try:
        fact = translate(event)
    except msgspec.ValidationError as error:
        return Fact("MISMATCH", note=f"A {event.type} that cannot be read: {error}.")
    if fact.kind == "IGNORED" or not event.created:
        return fact
    return msgspec.structs.replace(fact, at=datetime.fromtimestamp(event.created, UTC))


# ── One translation per kind of event ────────────────────────────────────────────────────────────


def _payment_succeeded(event: Event) -> Fact:
    intent = _object(event, PaymentIntent)
    escrow = _our_id(intent, "escrow_id")
    if escrow is None:
        return _ignored("No payment of ours.")
    if intent.state != "SUCCEEDED":
        return Fact(
            "UNKNOWN_STATUS",
            escrow_id=escrow,
            payment=intent.id,
            unknown_status=intent.unknown_status or intent.status,
        )
    fact = Fact(
        "PAYMENT_SUCCEEDED",
        escrow_id=escrow,
        payment=intent.id,
        charge=intent.charge,
        amount_cents=intent.amount_received or 0,
    )
    return _in_our_currency(fact, intent.currency)


def _charge_refunded(event: Event) -> Fact:
    """The sum refunded; each refund has an event of its own, which may not arrive."""
    charge = _object(event, Charge)
    if not charge.amount_refunded:
        return _ignored("Nothing was given back.")
    fact = Fact(
        "CHARGE_REFUNDED",
        payment=charge.payment_intent,
        charge=charge.id,
        reference=charge.id,
        amount_cents=charge.amount_refunded,
    )
    return _in_our_currency(fact, charge.currency)


def _refund(event: Event) -> Fact:
    """Ours by its metadata; any other of a payment of ours is known by that, in the database."""
    refund = _object(event, Refund)
    settlement = _our_id(refund, "settlement_id")
    if settlement is None and refund.payment_intent is None and refund.charge is None:
        return _ignored("No refund of ours.")
    kind = _REFUND_FACTS[refund.state]
    unknown = refund.unknown_status
    if event.type == "refund.failed" and kind != "REFUND_FAILED":
        kind, unknown = "REFUND_PENDING", f"{refund.status} in {event.type}"
    fact = Fact(
        kind,
        escrow_id=_our_id(refund, "escrow_id"),
        settlement_id=settlement,
        payment=refund.payment_intent,
        charge=refund.charge,
        reference=refund.id,
        amount_cents=refund.amount,
        unknown_status=unknown,
        note=refund.failure_reason,
    )
    return _in_our_currency(fact, refund.currency)


def _transfer_created(event: Event) -> Fact:
    transfer = _object(event, Transfer)
    if transfer.state == "FAILED":
        return _of_transfer("TRANSFER_REVERSED", transfer, transfer.amount_reversed)
    kind: FactKind = "TRANSFER_SUCCEEDED" if transfer.state == "SUCCEEDED" else "UNKNOWN_STATUS"
    return _of_transfer(kind, transfer, transfer.amount)


def _transfer_reversed(event: Event) -> Fact:
    transfer = _object(event, Transfer)
    return _of_transfer("TRANSFER_REVERSED", transfer, transfer.amount_reversed)


def _of_transfer(kind: FactKind, transfer: Transfer, amount_cents: int | None) -> Fact:
    settlement = _our_id(transfer, "settlement_id")
    if settlement is None:
        return _ignored("No transfer of ours.")
    fact = Fact(
        kind,
        escrow_id=_our_id(transfer, "escrow_id"),
        settlement_id=settlement,
        reference=transfer.id,
        amount_cents=amount_cents,
        unknown_status=transfer.unknown_status if kind == "UNKNOWN_STATUS" else None,
    )
    return _in_our_currency(fact, transfer.currency)


def _dispute(event: Event) -> Fact:
    """Carries no metadata of ours: the database knows its payment, or does not."""
    dispute = _object(event, Dispute)
    if dispute.payment_intent is None and dispute.charge is None:
        return _ignored("No payment of ours.")
    kind, unknown = dispute.fact_kind, dispute.unknown_status
    if dispute.currency != CURRENCY:
        # the amount in our currency is unknown: the chargeback stays open
        kind, unknown = "CHARGEBACK_OPENED", f"{dispute.status} in {dispute.currency}"
    return Fact(
        kind,
        payment=dispute.payment_intent,
        charge=dispute.charge,
        reference=dispute.id,
        amount_cents=dispute.amount,
        unknown_status=unknown,
        note=dispute.status,
    )


def _account_updated(event: Event) -> Fact:
    account = _object(event, Account)
    return Fact("ACCOUNT_UPDATED", account_id=account.id, payouts_enabled=account.can_be_paid)


def _account_left(event: Event) -> Fact:
    """Its object is our own application; whose account it was stands in the event."""
    if event.account is None:
        return _ignored("No account of ours.")
    return Fact("ACCOUNT_CLOSED", account_id=event.account)


_DISPUTES: Final = "charge.dispute."
_OF_ACCOUNTS: Final = frozenset({"account.updated", "account.application.deauthorized"})
_REFUND_FACTS: Final[Mapping[MovementState, FactKind]] = {
    "SUCCEEDED": "REFUND_SUCCEEDED",
    "FAILED": "REFUND_FAILED",
    "PENDING": "REFUND_PENDING",
}
_TRANSLATIONS: Final[Mapping[str, Callable[[Event], Fact]]] = {
    "payment_intent.succeeded": _payment_succeeded,
    "charge.refunded": _charge_refunded,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.refund.updated": _refund,
    "transfer.created": _transfer_created,
    "transfer.reversed": _transfer_reversed,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.closed": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
    "account.updated": _account_updated,
    "account.application.deauthorized": _account_left,
}
EVENT_TYPES: Final = tuple(_TRANSLATIONS)
"""What a webhook endpoint has to be subscribed to, and what the reconciler asks for again."""


def _ignored(note: str) -> Fact:
    return Fact("IGNORED", note=note)


def _in_our_currency(fact: Fact, currency: str) -> Fact:
    """The fact, unless its money is not the marketplace's."""
    if currency == CURRENCY:
        return fact
    return msgspec.structs.replace(
        fact,
        kind="MISMATCH",
        amount_cents=None,
        note=f"{fact.kind} of {fact.amount_cents} in {currency}.",
    )


def _our_id(thing: PaymentIntent | Transfer | Refund, name: str) -> str | None:
    """The id of ours in an object's metadata; None for a missing one and for what is no UUID."""
    try:
        return str(UUID(metadata_of(thing, name) or ""))
    except ValueError:
        return None


S = TypeVar("S", bound=Struct)


def _object(event: Event, kind: type[S]) -> S:
    found: dict[str, Any] = event.data.object
    return msgspec.convert(found, kind)

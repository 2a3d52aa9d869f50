"""Stripe's events in our words: pure, and the same for webhooks and for replays.

An object is ours when its metadata carries our id. Everything else on the same Stripe account is
none of our business and recorded as IGNORED; what is ours but does not fit is a MISMATCH, which
people have to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from engine.money.facts import Fact, FactKind
from engine.money.stripe_objects import (
    CURRENCY,
    Account,
    Dispute,
    Event,
    PaymentIntent,
    Refund,
    Transfer,
)


class NotAnEvent(Exception):
    """The text is no event of Stripe's."""


def parse(body: bytes) -> Event:
    """A webhook's body as an event; raises NotAnEvent."""
    try:
        return msgspec.json.decode(body, type=Event)
    except (ValueError, RecursionError) as error:
        raise NotAnEvent(str(error)) from error


def fact_of(event: Event, *, livemode: bool) -> Fact:
    """What the event means; `livemode` says whether our key moves real money."""
    translate = _TRANSLATIONS.get(event.type)
    if translate is None:
        return _ignored("Not needed.")
    if event.livemode != livemode:
        return _ignored("From the other mode, test or live.")
    if event.account is not None and event.type != "account.updated":
        return _ignored("Happened on a connected account.")
    try:
        return translate(event)
    except msgspec.ValidationError as error:
        return Fact("MISMATCH", note=f"A {event.type} that cannot be read: {error}.")


# ── One translation per kind of event ────────────────────────────────────────────────────────────


def _payment_succeeded(event: Event) -> Fact:
    intent = _object(event, PaymentIntent)
    escrow = _our_id(intent.metadata, "escrow_id")
    if escrow is None:
        return _ignored("No payment of ours.")
    fact = Fact(
        "PAYMENT_SUCCEEDED",
        escrow_id=escrow,
        payment=intent.id,
        amount_cents=intent.amount_received,
    )
    return _in_our_currency(fact, intent.currency)


def _charge_refunded(_: Event) -> Fact:
    return _ignored("Its refund tells the same.")


def _refund(event: Event) -> Fact:
    refund = _object(event, Refund)
    settlement = _our_id(refund.metadata, "settlement_id")
    if settlement is None:
        return _ignored("No refund of ours.")
    if refund.state == "PENDING":
        return _ignored("The refund is on its way.")
    fact = Fact(
        "REFUND_SUCCEEDED" if refund.state == "SUCCEEDED" else "REFUND_FAILED",
        escrow_id=_our_id(refund.metadata, "escrow_id"),
        settlement_id=settlement,
        payment=refund.payment_intent,
        reference=refund.id,
        amount_cents=refund.amount,
        note=refund.failure_reason,
    )
    return _in_our_currency(fact, refund.currency)


def _transfer_created(event: Event) -> Fact:
    transfer = _object(event, Transfer)
    return _of_transfer("TRANSFER_SUCCEEDED", transfer, transfer.amount)


def _transfer_reversed(event: Event) -> Fact:
    transfer = _object(event, Transfer)
    return _of_transfer("TRANSFER_REVERSED", transfer, transfer.amount_reversed)


def _of_transfer(kind: FactKind, transfer: Transfer, amount_cents: int) -> Fact:
    settlement = _our_id(transfer.metadata, "settlement_id")
    if settlement is None:
        return _ignored("No transfer of ours.")
    fact = Fact(
        kind,
        escrow_id=_our_id(transfer.metadata, "escrow_id"),
        settlement_id=settlement,
        reference=transfer.id,
        amount_cents=amount_cents,
    )
    return _in_our_currency(fact, transfer.currency)


def _chargeback_opened(event: Event) -> Fact:
    return _chargeback("CHARGEBACK_OPENED", _object(event, Dispute))


def _chargeback_closed(event: Event) -> Fact:
    dispute = _object(event, Dispute)
    return _chargeback("CHARGEBACK_LOST" if dispute.status == "lost" else "CHARGEBACK_WON", dispute)


def _chargeback(kind: FactKind, dispute: Dispute) -> Fact:
    """Carries no metadata of ours: the database knows its payment, or does not."""
    if dispute.payment_intent is None:
        return _ignored("No payment of ours.")
    fact = Fact(
        kind,
        payment=dispute.payment_intent,
        reference=dispute.id,
        amount_cents=dispute.amount,
        note=dispute.status,
    )
    return _in_our_currency(fact, dispute.currency)


def _account_updated(event: Event) -> Fact:
    account = _object(event, Account)
    return Fact(
        "ACCOUNT_UPDATED",
        account_id=account.id,
        payouts_enabled=bool(account.payouts_enabled),
    )


_TRANSLATIONS: Final[Mapping[str, Callable[[Event], Fact]]] = {
    "payment_intent.succeeded": _payment_succeeded,
    "charge.refunded": _charge_refunded,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "transfer.created": _transfer_created,
    "transfer.reversed": _transfer_reversed,
    "charge.dispute.created": _chargeback_opened,
    "charge.dispute.closed": _chargeback_closed,
    "account.updated": _account_updated,
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


def _our_id(metadata: Mapping[str, str], name: str) -> str | None:
    """The id of ours in an object's metadata; None for a missing one and for what is no UUID."""
    try:
        return str(UUID(metadata[name]))
    except (KeyError, ValueError):
        return None


S = TypeVar("S", bound=Struct)


def _object(event: Event, kind: type[S]) -> S:
    found: dict[str, Any] = event.data.object
    return msgspec.convert(found, kind)

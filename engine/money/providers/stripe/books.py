"""Stripe's lists of events and movements, for the reconciler and the books' audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import stripe
from msgspec import Struct

from engine.money.books import ProviderEvent, ProviderMovement
from engine.money.providers.stripe.client import PAGE, translated
from engine.money.providers.stripe.events import EVENT_TYPES, fact_of
from engine.money.providers.stripe.objects import (
    Event,
    PaymentIntent,
    Refund,
    Transfer,
    metadata_of,
    read,
)

MAX_LISTED: Final = 100_000
"""Objects of one list that are read at most; a shorter window is asked for beyond it."""

S = TypeVar("S", bound=Struct)


class StripeBooks:
    """Implements `ProviderBooks`; `livemode` says whether the key moves real money."""

    def __init__(self, client: stripe.StripeClient, *, livemode: bool) -> None:
        self._api = client.v1
        self._livemode = livemode

    async def events_since(self, since: datetime) -> list[ProviderEvent]:
        """Returns Stripe's events since then, oldest first; it keeps them for 30 days."""
        with translated():
            listed = await self._api.events.list_async(
                {"created": {"gte": _unix(since)}, "types": list(EVENT_TYPES), "limit": PAGE}
            )
            events = [event async for event in _all(listed, Event)]
        return [
            ProviderEvent(event.id, event.type, fact_of(event, livemode=self._livemode))
            for event in reversed(events)
        ]

    async def movements_since(self, since: datetime) -> list[ProviderMovement]:
        """Returns payments, transfers and refunds, those without our metadata included."""
        created: Any = {"created": {"gte": _unix(since)}, "limit": PAGE}
        with translated():
            payments = await self._api.payment_intents.list_async(created)
            transfers = await self._api.transfers.list_async(created)
            refunds = await self._api.refunds.list_async(created)
            return [
                *[_payment(intent) async for intent in _all(payments, PaymentIntent)],
                *[_transfer(transfer) async for transfer in _all(transfers, Transfer)],
                *[_refund(refund) async for refund in _all(refunds, Refund)],
            ]


async def _all(listed: stripe.ListObject[Any], kind: type[S]) -> AsyncIterator[S]:
    """Every object of a list, page after page."""
    count = 0
    async for answer in listed.auto_paging_iter():
        count += 1
        if count > MAX_LISTED:
            raise stripe.APIError(f"More than {MAX_LISTED} objects: ask for a shorter window.")
        yield read(answer.to_dict(), kind)


def _payment(intent: PaymentIntent) -> ProviderMovement:
    return ProviderMovement(
        "PAYMENT",
        intent.id,
        intent.state,
        intent.amount_received or 0,
        _at(intent.created),
        escrow_id=metadata_of(intent, "escrow_id"),
    )


def _transfer(transfer: Transfer) -> ProviderMovement:
    return ProviderMovement(
        "TRANSFER",
        transfer.id,
        transfer.state,
        transfer.amount,
        _at(transfer.created),
        escrow_id=metadata_of(transfer, "escrow_id"),
        settlement_id=metadata_of(transfer, "settlement_id"),
    )


def _refund(refund: Refund) -> ProviderMovement:
    return ProviderMovement(
        "REFUND",
        refund.id,
        refund.state,
        refund.amount,
        _at(refund.created),
        escrow_id=metadata_of(refund, "escrow_id"),
        settlement_id=metadata_of(refund, "settlement_id"),
        payment=refund.payment_intent,
    )


def _unix(at: datetime) -> int:
    return int(at.timestamp())


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

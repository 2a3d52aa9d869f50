"""Implements the payments port on Stripe: separate charges and transfers.

A poster pays the platform (PaymentIntent), the platform pays the hustler's connected account out of
that charge (Transfer) or gives back (Refund). Each object carries our ids in its metadata, so that
it can be found again after Stripe has forgotten the idempotency key (after a day).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

import stripe

from engine.money.provider import Movement, MovementKind, PaymentRefused
from engine.money.providers.stripe.client import PAGE, translated
from engine.money.providers.stripe.objects import (
    CURRENCY,
    Dispute,
    PaymentIntent,
    Refund,
    Transfer,
    metadata_of,
    read,
)

CONFLICT: Final = 409
"""The status while another call under the same key is being answered."""
MAX_KEYS: Final = 10
"""Refusals of one movement within a day; more wait until Stripe has forgotten the first."""
_DISPUTE_PREFIXES: Final = ("dp_", "du_")
_UNCONFIRMED: Final = frozenset({"requires_payment_method", "requires_confirmation"})

Create = Callable[[stripe.RequestOptions], Awaitable[Any]]
S = TypeVar("S", Transfer, Refund)


class StripePayments:
    """Charges, transfers and refunds through one client.

    With a `test_payment_method` (as `pm_card_visa`, test mode only) payments are confirmed here;
    without one the poster's app confirms them with the client secret.
    """

    def __init__(
        self, client: stripe.StripeClient, *, test_payment_method: str | None = None
    ) -> None:
        self._api = client.v1
        self._test_payment_method = test_payment_method

    async def charge(
        self, key: UUID, amount_cents: int, poster: UUID, *, begun: str | None = None
    ) -> Movement:
        """Returns the escrow's PaymentIntent in its present state.

        Stripe answers a repeated key with its first answer, so anything but a success is
        looked up again before it counts.
        """
        with translated():
            intent = (
                await self._intent(begun)
                if begun is not None
                else await self._created_intent(key, amount_cents, poster)
            )
            if self._test_payment_method and intent.status in _UNCONFIRMED:
                answer = await self._api.payment_intents.confirm_async(
                    intent.id, {"payment_method": self._test_payment_method}
                )
                intent = read(answer.to_dict(), PaymentIntent)
        return _payment(intent)

    async def _created_intent(self, key: UUID, amount_cents: int, poster: UUID) -> PaymentIntent:
        answer = await self._api.payment_intents.create_async(
            {
                "amount": amount_cents,
                "currency": CURRENCY,
                "capture_method": "automatic",
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}
                if self._test_payment_method
                else {"enabled": True},
                "transfer_group": str(key),
                "metadata": {"escrow_id": str(key), "poster_id": str(poster)},
            },
            {"idempotency_key": f"charge-{key}"},
        )
        intent = read(answer.to_dict(), PaymentIntent)
        return intent if intent.state == "SUCCEEDED" else await self._intent(intent.id)

    async def transfer(
        self,
        key: UUID,
        account: str | None,
        hustler: UUID,
        amount_cents: int,
        *,
        escrow: UUID,
        payment: str | None,
    ) -> Movement:
        """Returns the settlement's Transfer to the hustler, made unless it exists.

        It draws on the escrow's own charge, so it need not wait until that money is
        available.
        """
        if account is None:
            raise PaymentRefused("The hustler has no payout account.")
        with translated():
            listed = await self._api.transfers.list_async(
                {"transfer_group": str(escrow), "limit": PAGE}
            )
            for answer in listed.data:
                found = read(answer.to_dict(), Transfer)
                if metadata_of(found, "settlement_id") == str(key):
                    return _transfer(found)
            intent = await self._intent(payment) if payment else None
            params: stripe.params.TransferCreateParams = {
                "amount": amount_cents,
                "currency": CURRENCY,
                "destination": account,
                "transfer_group": str(escrow),
                "metadata": {
                    "settlement_id": str(key),
                    "escrow_id": str(escrow),
                    "hustler_id": str(hustler),
                },
            }
            if intent and intent.charge:
                params["source_transaction"] = intent.charge
            transfer = await self._created(
                partial(self._api.transfers.create_async, params), f"transfer-{key}", Transfer
            )
        return _transfer(transfer)

    async def refund(self, key: UUID, payment: str, amount_cents: int, *, escrow: UUID) -> Movement:
        """Returns the settlement's Refund, made unless one exists that did not fail."""
        with translated():
            listed = await self._api.refunds.list_async({"payment_intent": payment, "limit": PAGE})
            refunds = [read(answer.to_dict(), Refund) for answer in listed.data]
            ours = [each for each in refunds if metadata_of(each, "settlement_id") == str(key)]
            for found in ours:
                if found.state != "FAILED":
                    return _refund(found)
            params: stripe.params.RefundCreateParams = {
                "payment_intent": payment,
                "amount": amount_cents,
                "metadata": {"settlement_id": str(key), "escrow_id": str(escrow)},
            }
            refund = await self._created(
                partial(self._api.refunds.create_async, params),
                f"refund-{key}",
                Refund,
                failed=frozenset(each.id for each in ours),
            )
        return _refund(refund)

    async def look_up(self, kind: MovementKind, reference: str) -> Movement:
        """Returns a movement in its present state; PaymentRefused for an unknown reference.

        A chargeback that was lost is a refund too: the bank has made it.
        """
        with translated():
            match kind:
                case "PAYMENT":
                    return _payment(await self._intent(reference))
                case "TRANSFER":
                    transfer = await self._api.transfers.retrieve_async(reference)
                    return _transfer(read(transfer.to_dict(), Transfer))
                case "REFUND" if reference.startswith(_DISPUTE_PREFIXES):
                    dispute = await self._api.disputes.retrieve_async(reference)
                    return _lost(read(dispute.to_dict(), Dispute))
                case "REFUND":
                    refund = await self._api.refunds.retrieve_async(reference)
                    return _refund(read(refund.to_dict(), Refund))

    async def _created(
        self, create: Create, key: str, kind: type[S], failed: frozenset[str] = frozenset()
    ) -> S:
        """What a create call answers under the first key that is not used up.

        Stripe repeats its first answer to a key for a day. A refusal that it repeats says nothing
        about today, and neither does an object that has `failed` since; neither moved any money, so
        the next key can move none twice. A key that was first used for another account moved none
        either, for its transfer would have been listed. After a lost answer or a 500 the key stays the same.
        """
        used_up: stripe.StripeError | None = None
        for number in range(MAX_KEYS):
            named = f"{key}-{number}" if number else key
            try:
                answer = await create({"idempotency_key": named})
            except (stripe.CardError, stripe.InvalidRequestError) as refusal:
                if (refusal.headers or {}).get("idempotent-replayed") != "true":
                    raise
                used_up = refusal
                continue
            except stripe.IdempotencyError as reused:
                if reused.http_status == CONFLICT:
                    raise
                used_up = reused
                continue
            made = read(answer.to_dict(), kind)
            if made.id not in failed:
                return made
        raise used_up or PaymentRefused(f"All keys of {key} are used up.")

    async def _intent(self, reference: str) -> PaymentIntent:
        answer = await self._api.payment_intents.retrieve_async(reference)
        return read(answer.to_dict(), PaymentIntent)


def _payment(intent: PaymentIntent) -> Movement:
    pending = intent.state == "PENDING"
    return Movement(
        intent.id,
        intent.state,
        client_secret=intent.client_secret if pending else None,
        note=intent.status if pending else None,
        unknown_status=intent.unknown_status,
    )


def _transfer(transfer: Transfer) -> Movement:
    reversed_ = transfer.state == "FAILED"
    return Movement(
        transfer.id,
        transfer.state,
        note="The transfer was reversed." if reversed_ else None,
        unknown_status=transfer.unknown_status if transfer.state == "PENDING" else None,
    )


def _refund(refund: Refund) -> Movement:
    failed = refund.state == "FAILED"
    return Movement(
        refund.id,
        refund.state,
        note=f"The refund failed: {refund.failure_reason or refund.status}." if failed else None,
        unknown_status=refund.unknown_status,
    )


def _lost(dispute: Dispute) -> Movement:
    return Movement(
        dispute.id, "SUCCEEDED" if dispute.status == "lost" else "PENDING", note=dispute.status
    )

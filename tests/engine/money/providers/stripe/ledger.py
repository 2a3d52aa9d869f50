"""A Stripe account in memory: its objects, its rules, its money. Knows nothing of HTTP."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from typing import Any

Params = dict[str, Any]
Made = dict[str, Any]

DECLINED = "pm_card_chargeDeclined"
SLOW = "pm_usBankAccount"
MIN_CENTS = 50


class RefusalRecord(Exception):
    """An error of the API: status, type, code, sentence."""

    def __init__(
        self, message: str, code: str, *, status: int = 400, kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.kind = kind


def missing(what: str, name: str | None) -> RefusalRecord:
    """404: no such object."""
    return RefusalRecord(f"No such {what}: '{name}'", "resource_missing", status=404)


def revoked(account: str) -> RefusalRecord:
    """403: Stripe answers so for a deleted account and for one that was taken from us."""
    return RefusalRecord(
        f"The provided key does not have access to account '{account}' (or that account does not"
        " exist). Application access may have been revoked.",
        "account_invalid",
        status=403,
    )


class Ledger:
    """Objects by id, events in order, and what every party holds in cents.

    `received` hears of every event; ids begin with `tag`, so that two accounts share none.
    """

    def __init__(
        self, clock: Callable[[], int], received: Callable[[Made], None], tag: str = ""
    ) -> None:
        self._tag = tag
        self.objects: dict[str, dict[str, Made]] = defaultdict(dict)
        self.events: list[Made] = []
        self.held: dict[str, int] = defaultdict(int)
        self.slow_refunds = False
        self._withdrawn: set[str] = set()
        self._clock = clock
        self._lock_subject = received
        self._numbers: dict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))

    # ── Payments ─────────────────────────────────────────────────────────────────────────────────

    def create_payment_intent(self, params: Params) -> Made:
        """Waits for its payment method."""
        amount = int(params["amount"])
        if amount < MIN_CENTS:
            raise RefusalRecord("Amount must be at least $0.50 usd", "amount_too_small")
        intent = self._made(
            "pi",
            "payment_intent",
            amount=amount,
            amount_received=0,
            currency=params["currency"],
            status="requires_payment_method",
            metadata=params.get("metadata", {}),
            transfer_group=params.get("transfer_group"),
            latest_charge=None,
        )
        intent["client_secret"] = f"{intent['id']}_secret_fake"
        self._tell("payment_intent.created", intent)
        return intent

    def confirm(self, name: str, payment_method: str) -> Made:
        """The payer's step: succeeds, is declined, or takes its time."""
        intent = self.one("payment_intent", name)
        if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
            raise RefusalRecord(
                f"This PaymentIntent's status is {intent['status']}.",
                "payment_intent_unexpected_state",
            )
        if payment_method == DECLINED:
            self._tell("payment_intent.payment_failed", intent)
            raise RefusalRecord(
                "Your card was declined.", "card_declined", status=402, kind="card_error"
            )
        if payment_method == SLOW:
            intent["status"] = "processing"
            return intent
        return self.finish_payment(name)

    def finish_payment(self, name: str) -> Made:
        """The money is there."""
        intent = self.one("payment_intent", name)
        charge = self._made(
            "ch",
            "charge",
            amount=intent["amount"],
            amount_refunded=0,
            currency=intent["currency"],
            payment_intent=name,
            metadata=intent["metadata"],
            transfer_group=intent["transfer_group"],
            status="succeeded",
            disputed=False,
        )
        intent.update(
            status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"]
        )
        self._move("posters", "platform", charge["amount"])
        self._tell("payment_intent.succeeded", intent)
        self._tell("charge.succeeded", charge)
        return intent

    def cancel(self, name: str) -> Made:
        """An unpaid intent ends."""
        intent = self.one("payment_intent", name)
        if intent["status"] == "succeeded":
            raise RefusalRecord("It has succeeded.", "payment_intent_unexpected_state")
        intent["status"] = "canceled"
        self._tell("payment_intent.canceled", intent)
        return intent

    # ── Refunds ──────────────────────────────────────────────────────────────────────────────────

    def create_refund(self, params: Params) -> Made:
        """Never more than is left of the charge, and nothing while it is disputed."""
        charge = self._charge_of(params["payment_intent"])
        left = charge["amount"] - charge["amount_refunded"]
        amount = int(params.get("amount", left))
        if charge["disputed"]:
            raise RefusalRecord("The charge has been charged back.", "charge_disputed")
        if left == 0:
            raise RefusalRecord("The charge has already been refunded.", "charge_already_refunded")
        if not 0 < amount <= left:
            raise RefusalRecord(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                "amount_too_large",
            )
        refund = self._made(
            "re",
            "refund",
            amount=amount,
            currency=charge["currency"],
            charge=charge["id"],
            payment_intent=params["payment_intent"],
            metadata=params.get("metadata"),
            status="pending" if self.slow_refunds else "succeeded",
        )
        charge["amount_refunded"] += amount
        self._move("platform", "posters", amount)
        self._tell("refund.created", refund)
        self._tell("charge.refunded", charge)
        return refund

    def finish_refund(self, name: str) -> Made:
        """The bank has taken it."""
        refund = self.one("refund", name)
        refund["status"] = "succeeded"
        self._tell("refund.updated", refund)
        return refund

    def fail_refund(self, name: str) -> Made:
        """The bank sends it back: told more than once, as Stripe does."""
        refund = self.one("refund", name)
        refund.update(status="failed", failure_reason="lost_or_stolen_card")
        self.one("charge", refund["charge"])["amount_refunded"] -= refund["amount"]
        self._move("posters", "platform", refund["amount"])
        for kind in ("refund.updated", "charge.refund.updated", "refund.failed"):
            self._tell(kind, refund)
        return refund

    # ── Transfers and accounts ───────────────────────────────────────────────────────────────────

    def create_transfer(self, params: Params) -> Made:
        """To an account that may receive, out of a charge or of the balance."""
        account = self.objects["account"].get(params["destination"])
        if account is not None and (account["deleted"] or account["revoked"]):
            raise revoked(account["id"])
        if account is None:
            raise RefusalRecord(
                f"No such destination: '{params['destination']}'", "resource_missing"
            )
        if not account["payouts_enabled"]:
            raise RefusalRecord(
                "The account needs the capability to receive transfers.",
                "insufficient_capabilities_for_transfer",
            )
        amount, source = int(params["amount"]), params.get("source_transaction")
        if source is not None:
            charge = self.one("charge", source)
            drawn = sum(
                other["amount"]
                for other in self.objects["transfer"].values()
                if other["source_transaction"] == source
            )
            if drawn + amount > charge["amount"]:
                raise RefusalRecord(
                    "Transfers exceed the source charge.", "transfer_source_exceeded"
                )
            if charge["transfer_group"] != params.get("transfer_group"):
                raise RefusalRecord(
                    "The charge is in another transfer group.", "transfer_group_mismatch"
                )
        elif amount > self.held["platform"]:
            raise RefusalRecord("You have insufficient funds.", "balance_insufficient")
        transfer = self._made(
            "tr",
            "transfer",
            amount=amount,
            amount_reversed=0,
            reversed=False,
            currency=params["currency"],
            destination=account["id"],
            source_transaction=source,
            transfer_group=params.get("transfer_group"),
            metadata=params.get("metadata", {}),
        )
        self._move("platform", account["id"], amount)
        self._tell("transfer.created", transfer)
        return transfer

    def reverse(self, name: str, params: Params) -> Made:
        """Takes a transfer back, or a part of it."""
        transfer = self.one("transfer", name)
        left = transfer["amount"] - transfer["amount_reversed"]
        amount = int(params.get("amount", left))
        if not 0 < amount <= left:
            raise RefusalRecord("More than was transferred.", "amount_too_large")
        transfer["amount_reversed"] += amount
        transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
        self._move(transfer["destination"], "platform", amount)
        reversal = self._made("trr", "transfer_reversal", amount=amount, transfer=name)
        self._tell("transfer.reversed", transfer)
        return reversal

    def create_account(self, params: Params) -> Made:
        """Cannot be paid before its holder has been on Stripe's pages."""
        return self._made(
            "acct",
            "account",
            payouts_enabled=False,
            deleted=False,
            revoked=False,
            metadata=params.get("metadata", {}),
        )

    def account(self, name: str) -> Made:
        """An account, as long as it lets us see it."""
        account = self.one("account", name)
        if account["deleted"] or account["revoked"]:
            raise revoked(name)
        return account

    def delete_account(self, name: str) -> None:
        """It is gone, and nobody tells."""
        self.one("account", name)["deleted"] = True

    def disconnect(self, name: str) -> None:
        """Its holder takes it from us."""
        self.one("account", name)["revoked"] = True
        application = {"id": "ca_fake", "object": "application", "name": "Us"}
        self._tell("account.application.deauthorized", application, account=name)

    def finish_onboarding(self, name: str, *, enabled: bool = True) -> Made:
        """Its holder has told what Stripe wants to know."""
        account = self.one("account", name)
        account["payouts_enabled"] = enabled
        self._tell("account.updated", account, account=name)
        return account

    # ── Chargebacks ──────────────────────────────────────────────────────────────────────────────

    def dispute(
        self, payment: str, status: str = "needs_response", amount: int | None = None
    ) -> Made:
        """The payer's bank takes the charge back, or a part of it; or it asks first (`warning_…`)."""
        charge = self._charge_of(payment)
        dispute = self._made(
            "dp",
            "dispute",
            amount=charge["amount"] if amount is None else amount,
            currency=charge["currency"],
            charge=charge["id"],
            payment_intent=payment,
            status=status,
            metadata=None,
        )
        self._tell("charge.dispute.created", dispute)
        self._withdraw(dispute)
        return dispute

    def update_dispute(self, name: str, status: str) -> Made:
        """It stands otherwise: an inquiry becomes a chargeback, a lost one is won after all."""
        dispute = self.one("dispute", name)
        dispute["status"] = status
        self._withdraw(dispute)
        self._reinstate(dispute)
        self._tell("charge.dispute.updated", dispute)
        return dispute

    def close_dispute(self, name: str, status: str) -> Made:
        """`won` gives the money back to the platform, all but `lost` and unknown ones do."""
        dispute = self.one("dispute", name)
        dispute["status"] = status
        self._reinstate(dispute)
        self._tell("charge.dispute.closed", dispute)
        return dispute

    def _withdraw(self, dispute: Made) -> None:
        if dispute["status"].startswith("warning_") or dispute["id"] in self._withdrawn:
            return
        self._withdrawn.add(dispute["id"])
        self.one("charge", dispute["charge"])["disputed"] = True
        self._move("platform", "posters", dispute["amount"])
        self._tell("charge.dispute.funds_withdrawn", dispute)

    def _reinstate(self, dispute: Made) -> None:
        if dispute["status"] not in ("won", "warning_closed"):
            return
        if dispute["id"] not in self._withdrawn:
            return
        self._withdrawn.remove(dispute["id"])
        others = [
            each for each in self.objects["dispute"].values() if each["id"] in self._withdrawn
        ]
        charge = self.one("charge", dispute["charge"])
        charge["disputed"] = any(each["charge"] == charge["id"] for each in others)
        self._move("posters", "platform", dispute["amount"])
        self._tell("charge.dispute.funds_reinstated", dispute)

    # ── All of them ──────────────────────────────────────────────────────────────────────────────

    def one(self, kind: str, name: str | None) -> Made:
        """An object by its id; Refused with 404."""
        found = self.objects[kind].get(name or "")
        if found is None:
            raise missing(kind, name)
        return found

    def listed(self, kind: str) -> list[Made]:
        """All of a kind, newest first."""
        return list(self.objects[kind].values())[::-1]

    def _charge_of(self, payment: str) -> Made:
        intent = self.one("payment_intent", payment)
        if intent["latest_charge"] is None:
            raise RefusalRecord("This PaymentIntent has no successful charge.", "charge_missing")
        return self.one("charge", intent["latest_charge"])

    def _move(self, giver: str, taker: str, amount: int) -> None:
        self.held[giver] -= amount
        self.held[taker] += amount

    def _name(self, prefix: str) -> str:
        return f"{prefix}_{self._tag}{next(self._numbers[prefix]):06}"

    def _made(self, prefix: str, kind: str, **fields: Any) -> Made:
        name = self._name(prefix)
        made = {
            "id": name, "object": kind, "created": self._clock(), "livemode": False, **fields
        }  # fmt: skip
        self.objects[kind][name] = made
        return made

    def _tell(self, kind: str, thing: Made, account: str | None = None) -> None:
        """An event shows its object as it was then."""
        event = {
            "id": self._name("evt"),
            "object": "event",
            "type": kind,
            "created": self._clock(),
            "livemode": False,
            "data": {"object": {**thing}},
        }
        if account is not None:
            event["account"] = account
        self.events.append(event)
        self._lock_subject(event)

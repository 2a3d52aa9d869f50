from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from engine.money.facts import Fact
from engine.money.providers.stripe.events import EVENT_TYPES, NotAnEvent, fact_of, parse
from engine.money.providers.stripe.objects import Event, PaymentIntent, Refund, Transfer
from tests.engine.money.providers.stripe.fake import FakeStripe

ESCROW, SETTLEMENT = str(uuid4()), str(uuid4())
OURS = {"escrow_id": ESCROW, "settlement_id": SETTLEMENT}


def event(kind: str, thing: dict[str, Any], **more: Any) -> Event:
    """An event in test mode."""
    return msgspec.convert(
        {"id": "evt_1", "type": kind, "livemode": False, "data": {"object": thing}, **more}, Event
    )


def fact(kind: str, thing: dict[str, Any], **more: Any) -> Fact:
    """What it means to a service with a test key."""
    return fact_of(event(kind, thing, **more), livemode=False)


def intent(**fields: Any) -> dict[str, Any]:
    """A payment of $40.00."""
    return {
        "id": "pi_1", "status": "succeeded", "amount": 4000, "amount_received": 4000,
        "currency": "usd", "metadata": {"escrow_id": ESCROW}, **fields,
    }  # fmt: skip


def refund(**fields: Any) -> dict[str, Any]:
    """A refund of $10.00."""
    return {
        "id": "re_1", "status": "succeeded", "amount": 1000, "currency": "usd",
        "payment_intent": "pi_1", "metadata": OURS, **fields,
    }  # fmt: skip


def transfer(**fields: Any) -> dict[str, Any]:
    """A transfer of $34.00."""
    return {
        "id": "tr_1", "amount": 3400, "amount_reversed": 0, "currency": "usd", "metadata": OURS,
        **fields,
    }  # fmt: skip


def dispute(**fields: Any) -> dict[str, Any]:
    """A chargeback of $40.00."""
    return {
        "id": "dp_1", "amount": 4000, "currency": "usd", "status": "needs_response",
        "payment_intent": "pi_1", **fields,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "thing", "meant"),
    [
        (
            "payment_intent.succeeded",
            intent(),
            Fact("PAYMENT_SUCCEEDED", escrow_id=ESCROW, payment="pi_1", amount_cents=4000),
        ),
        (
            "refund.created",
            refund(),
            Fact(
                "REFUND_SUCCEEDED", escrow_id=ESCROW, settlement_id=SETTLEMENT, payment="pi_1",
                reference="re_1", amount_cents=1000,
            ),
        ),
        (
            "refund.failed",
            refund(status="failed", failure_reason="expired_or_canceled_card"),
            Fact(
                "REFUND_FAILED", escrow_id=ESCROW, settlement_id=SETTLEMENT, payment="pi_1",
                reference="re_1", amount_cents=1000, note="expired_or_canceled_card",
            ),
        ),
        (
            "transfer.created",
            transfer(),
            Fact(
                "TRANSFER_SUCCEEDED", escrow_id=ESCROW, settlement_id=SETTLEMENT,
                reference="tr_1", amount_cents=3400,
            ),
        ),
        (
            "transfer.reversed",
            transfer(amount_reversed=400),
            Fact(
                "TRANSFER_REVERSED", escrow_id=ESCROW, settlement_id=SETTLEMENT,
                reference="tr_1", amount_cents=400,
            ),
        ),
        (
            "charge.dispute.created",
            dispute(),
            Fact(
                "CHARGEBACK_OPENED", payment="pi_1", reference="dp_1", amount_cents=4000,
                note="needs_response",
            ),
        ),
        (
            "charge.dispute.closed",
            dispute(status="lost"),
            Fact(
                "CHARGEBACK_LOST", payment="pi_1", reference="dp_1", amount_cents=4000, note="lost"
            ),
        ),
        (
            "charge.dispute.closed",
            dispute(status="warning_closed"),
            Fact(
                "INQUIRY_CLOSED", payment="pi_1", reference="dp_1", amount_cents=4000,
                note="warning_closed",
            ),
        ),
        (
            "refund.created",
            refund(metadata=None),
            Fact("REFUND_SUCCEEDED", payment="pi_1", reference="re_1", amount_cents=1000),
        ),
        (
            "charge.refunded",
            {"id": "ch_1", "amount_refunded": 500, "currency": "usd", "payment_intent": "pi_1"},
            Fact(
                "CHARGE_REFUNDED", payment="pi_1", charge="ch_1", reference="ch_1",
                amount_cents=500,
            ),
        ),
        (
            "account.updated",
            {"id": "acct_1", "payouts_enabled": True},
            Fact("ACCOUNT_UPDATED", account_id="acct_1", payouts_enabled=True),
        ),
    ],
)  # fmt: skip
def test_every_kind_of_event_that_concerns_us_has_its_fact(
    kind: str, thing: dict[str, Any], meant: Fact
) -> None:
    """Ids, amounts in cents, and what people should read."""
    assert fact(kind, thing) == meant


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("invoice.paid", {"id": "in_1"}),
        ("payment_intent.created", intent()),
        ("payment_intent.succeeded", intent(metadata={})),
        ("payment_intent.succeeded", intent(metadata={"escrow_id": "order-17"})),
        ("payment_intent.succeeded", intent(metadata=None)),
        ("refund.created", refund(metadata={}, payment_intent=None)),
        ("account.application.deauthorized", {"id": "ca_1", "object": "application"}),
        ("transfer.created", transfer(metadata={"settlement_id": ""})),
        ("charge.refunded", {"id": "ch_1", "object": "charge"}),
        ("charge.dispute.created", dispute(payment_intent=None)),
    ],
)
def test_what_does_not_concern_us_is_ignored_and_says_why(kind: str, thing: dict[str, Any]) -> None:
    """Other business on the same account, and what another event tells."""
    meant = fact(kind, thing)
    assert meant.kind == "IGNORED"
    assert meant.note


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("payment_intent.succeeded", intent(currency="eur")),
        ("refund.created", refund(currency="eur")),
        ("transfer.created", transfer(currency="jpy")),
        ("payment_intent.succeeded", {"id": "pi_1"}),
        ("transfer.created", transfer(amount="many")),
        ("account.updated", {}),
    ],
)
def test_what_is_ours_and_does_not_fit_is_for_people(kind: str, thing: dict[str, Any]) -> None:
    """Another currency, an object that cannot be read."""
    meant = fact(kind, thing)
    assert meant.kind == "MISMATCH"
    assert meant.amount_cents is None


GOOD = {
    "payment_intent.succeeded": {"succeeded": "PAYMENT_SUCCEEDED"},
    "refund.updated": {"succeeded": "REFUND_SUCCEEDED"},
    "charge.dispute.closed": {"won": "CHARGEBACK_WON", "warning_closed": "INQUIRY_CLOSED"},
}
"""The statuses at which money moves or is freed, by kind of event: these and no other."""
ELSE = {
    "payment_intent.succeeded": {"UNKNOWN_STATUS"},
    "refund.updated": {"REFUND_PENDING", "REFUND_FAILED"},
    "charge.dispute.closed": {"CHARGEBACK_OPENED", "CHARGEBACK_LOST", "INQUIRY_OPENED"},
}
STATUSES = [
    "succeeded", "processing", "requires_action", "requires_capture", "requires_confirmation",
    "requires_payment_method", "canceled", "pending", "failed", "won", "lost", "needs_response",
    "under_review", "warning_needs_response", "warning_under_review", "warning_closed",
    "charge_refunded", "prevented", "appeal_under_review", "partially_won", "WON", "won ",
    "Succeeded", "", "0", "\u0000", "\U0001f642",
]  # fmt: skip
KNOWN = {
    "refund.updated": {"succeeded", "pending", "requires_action", "failed", "canceled"},
    "charge.dispute.closed": {
        "won", "lost", "needs_response", "under_review", "warning_needs_response",
        "warning_under_review", "warning_closed",
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("status", STATUSES)
def test_only_a_status_that_is_plainly_good_counts_as_good(kind: str, status: str) -> None:
    """Every word that Stripe has for anything, and words that it does not have; unknown is named."""
    thing = {"payment_intent.succeeded": intent, "refund.updated": refund}.get(kind, dispute)
    meant = fact(kind, thing(status=status))
    if status in GOOD[kind]:
        assert meant.kind == GOOD[kind][status]
    else:
        assert meant.kind in ELSE[kind]
    if kind in KNOWN:
        assert meant.unknown_status == (None if status in KNOWN[kind] else status)


@pytest.mark.parametrize("status", STATUSES)
def test_a_movement_succeeds_by_one_word_alone(status: str) -> None:
    """As the worker and the reconciler see it; what nobody knows is named and PENDING."""
    payment = msgspec.convert(intent(status=status), PaymentIntent)
    given_back = msgspec.convert(refund(status=status), Refund)
    sent = msgspec.convert(transfer(status=status), Transfer)
    assert (payment.state == "SUCCEEDED") == (status == "succeeded")
    assert (given_back.state == "SUCCEEDED") == (status == "succeeded")
    assert sent.state == "PENDING"
    for each in (payment, given_back, sent):
        assert each.unknown_status is None or each.state == "PENDING"
    assert msgspec.convert(intent(amount_received=3999), PaymentIntent).state == "PENDING"
    assert msgspec.convert(transfer(amount_reversed=1), Transfer).state == "PENDING"


@pytest.mark.parametrize(
    ("fields", "payable"),
    [
        ({"payouts_enabled": True}, True),
        ({"payouts_enabled": True, "capabilities": {"transfers": "active"}}, True),
        ({"payouts_enabled": True, "capabilities": {"card_payments": "pending"}}, True),
        ({"payouts_enabled": True, "capabilities": {"transfers": "inactive"}}, False),
        ({"payouts_enabled": True, "capabilities": {"transfers": "restricted"}}, False),
        ({"payouts_enabled": None}, False),
        ({"deleted": True, "payouts_enabled": True}, False),
        ({}, False),
    ],
)
def test_an_account_is_payable_only_when_stripe_plainly_says_so(
    fields: dict[str, Any],
    payable: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    """By its payouts and, where it tells them, by the capability to receive transfers."""
    assert fact("account.updated", {"id": "acct_1", **fields}).payouts_enabled is payable


def test_a_dispute_in_another_currency_stays_open_and_is_named() -> None:
    """How much of our money it is about is not plain, whatever it says."""
    meant = fact("charge.dispute.closed", dispute(currency="eur", status="won"))
    assert (meant.kind, meant.unknown_status) == ("CHARGEBACK_OPENED", "won in eur")


def test_an_event_of_a_dispute_whose_name_we_do_not_know_says_how_it_stands() -> None:
    """By its object."""
    assert fact("charge.dispute.appealed", dispute(status="lost")).kind == "CHARGEBACK_LOST"


def test_an_account_that_was_taken_from_us_is_named_by_the_event() -> None:
    """The object is our own application."""
    application = {"id": "ca_1", "object": "application"}
    meant = fact("account.application.deauthorized", application, account="acct_1", created=1)
    assert (meant.kind, meant.account_id) == ("ACCOUNT_CLOSED", "acct_1")
    assert meant.at == datetime.fromtimestamp(1, UTC)


def test_an_event_of_the_other_mode_is_ignored() -> None:
    """A test event changes nothing on a service that moves real money, and the other way round."""
    assert fact_of(event("payment_intent.succeeded", intent()), livemode=True).kind == "IGNORED"
    assert fact("payment_intent.succeeded", intent(), livemode=True).kind == "IGNORED"


def test_of_a_connected_account_only_its_own_state_concerns_us() -> None:
    """What a hustler sells elsewhere under the same account is theirs."""
    account = {"id": "acct_1", "payouts_enabled": False}
    assert fact("account.updated", account, account="acct_1").payouts_enabled is False
    assert fact("payment_intent.succeeded", intent(), account="acct_1").kind == "IGNORED"


def test_a_fact_is_sent_without_what_it_does_not_know() -> None:
    """The database tells an absent amount from a null one by its absence."""
    assert msgspec.json.encode(Fact("IGNORED", note="x")) == b'{"kind":"IGNORED","note":"x"}'


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"id": "evt_1"}', b"\xff", b"[" * 100_000, b"null"]
)
def test_a_body_that_is_no_event_is_told_so(body: bytes) -> None:
    """And raises nothing else."""
    with pytest.raises(NotAnEvent):
        parse(body)


def test_the_fake_tells_every_kind_of_event_that_we_listen_to(fake: FakeStripe) -> None:
    """So that no translation is tested against our imagination of one object alone."""
    ledger = fake.ledger
    account = ledger.create_account({})["id"]
    ledger.finish_onboarding(account)
    paid = [
        ledger.confirm(
            ledger.create_payment_intent({"amount": "4000", "currency": "usd", "metadata": OURS})[
                "id"
            ],
            "pm_card_visa",
        )["id"]
        for _ in range(2)
    ]
    ledger.slow_refunds = True
    ledger.disconnect(ledger.create_account({})["id"])
    given_back = ledger.create_refund({"payment_intent": paid[0], "metadata": OURS})["id"]
    ledger.finish_refund(given_back)
    ledger.fail_refund(given_back)
    sent = ledger.create_transfer(
        {"amount": "3400", "currency": "usd", "destination": account, "metadata": OURS}
    )["id"]
    ledger.reverse(sent, {})
    disputed = ledger.dispute(paid[1], "warning_needs_response")["id"]
    ledger.update_dispute(disputed, "needs_response")
    ledger.close_dispute(disputed, "lost")
    ledger.update_dispute(disputed, "won")
    received = {each["type"]: each for each in ledger.events}
    assert set(EVENT_TYPES) <= received.keys()
    kinds = {
        name: fact_of(msgspec.convert(received[name], Event), livemode=False).kind
        for name in received
    }
    assert kinds["refund.created"] == "REFUND_PENDING"
    assert kinds["refund.failed"] == "REFUND_FAILED"
    assert "MISMATCH" not in kinds.values()

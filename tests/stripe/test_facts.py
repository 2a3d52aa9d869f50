from typing import Any
from uuid import uuid4

import msgspec
import pytest

from engine.money.facts import Fact
from engine.money.stripe_events import EVENT_TYPES, NotAnEvent, fact_of, parse
from engine.money.stripe_objects import Event
from tests.stripe.fake import FakeStripe

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
                "CHARGEBACK_WON", payment="pi_1", reference="dp_1", amount_cents=4000,
                note="warning_closed",
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
        ("refund.updated", refund(status="pending")),
        ("refund.created", refund(metadata={})),
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
        ("charge.dispute.created", dispute(currency="eur")),
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
    given_back = ledger.create_refund({"payment_intent": paid[0], "metadata": OURS})["id"]
    ledger.finish_refund(given_back)
    ledger.fail_refund(given_back)
    sent = ledger.create_transfer(
        {"amount": "3400", "currency": "usd", "destination": account, "metadata": OURS}
    )["id"]
    ledger.reverse(sent, {})
    ledger.close_dispute(ledger.dispute(paid[1])["id"], "lost")
    told = {each["type"]: each for each in ledger.events}
    assert set(EVENT_TYPES) <= told.keys()
    kinds = {
        name: fact_of(msgspec.convert(told[name], Event), livemode=False).kind for name in told
    }
    assert kinds["refund.created"] == "IGNORED"
    assert kinds["refund.failed"] == "REFUND_FAILED"
    assert "MISMATCH" not in kinds.values()

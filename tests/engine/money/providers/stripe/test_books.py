from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import stripe

from engine.money.provider import PaymentFailed
from engine.money.providers.stripe.books import StripeBooks
from engine.money.providers.stripe.payments import StripePayments
from tests.engine.money.providers.stripe.fake import FakeStripe

EPOCH = datetime.fromtimestamp(0, UTC)


@pytest.fixture
def books(sdk: stripe.StripeClient, fake: FakeStripe) -> StripeBooks:
    """The fake's lists."""
    return StripeBooks(sdk, livemode=False)


async def test_every_movement_is_listed_with_our_ids(
    books: StripeBooks, confirming: StripePayments, fake: FakeStripe
) -> None:
    """Payments, transfers, refunds; those that are not ours without ids."""
    escrow, settlement, hustler = uuid4(), uuid4(), uuid4()
    account = fake.ledger.create_account({})["id"]
    fake.ledger.finish_onboarding(account)
    paid = (await confirming.charge(escrow, 4000, uuid4())).reference
    refund = await confirming.refund(settlement, paid, 1000, escrow=escrow)
    transfer = await confirming.transfer(
        settlement, account, hustler, 2550, escrow=escrow, payment=paid
    )
    by_hand = fake.ledger.create_refund({"payment_intent": paid, "amount": "17"})["id"]
    moved = {each.reference: each for each in await books.movements_since(EPOCH)}
    assert {each.kind for each in moved.values()} == {"PAYMENT", "TRANSFER", "REFUND"}
    assert moved[paid].escrow_id == str(escrow)
    assert [m.amount_cents for m in moved.values()] == [4000, 2550, 17, 1000]
    assert moved[refund.reference].settlement_id == str(settlement)
    assert moved[transfer.reference].settlement_id == str(settlement)
    assert (moved[by_hand].settlement_id, moved[by_hand].payment) == (None, paid)


async def test_events_come_oldest_first_over_any_number_of_pages(
    books: StripeBooks, fake: FakeStripe
) -> None:
    """Only the kinds that may concern us."""
    for _ in range(250):
        fake.ledger.finish_payment(
            fake.ledger.create_payment_intent({"amount": "100", "currency": "usd"})["id"]
        )
    received = await books.events_since(EPOCH)
    assert len(received) == 250
    assert [each.event_id for each in received] == sorted(each.event_id for each in received)
    assert {each.event_type for each in received} == {"payment_intent.succeeded"}


async def test_only_the_window_is_asked_for(books: StripeBooks, fake: FakeStripe) -> None:
    """From its first second on."""
    fake.ledger.finish_payment(
        fake.ledger.create_payment_intent({"amount": "100", "currency": "usd"})["id"]
    )
    begun = datetime.fromtimestamp(fake.ledger.events[0]["created"], UTC)
    assert len(await books.events_since(begun)) == 1
    assert await books.events_since(begun + timedelta(seconds=60)) == []
    assert await books.movements_since(begun + timedelta(seconds=60)) == []


async def test_a_provider_that_does_not_answer_is_a_failure(
    books: StripeBooks, fake: FakeStripe
) -> None:
    """In the port's words."""
    fake.chaos.turn(lost_answer=1.0)
    with pytest.raises(PaymentFailed):
        await books.events_since(EPOCH)
    with pytest.raises(PaymentFailed):
        await books.movements_since(EPOCH)

import asyncio
from uuid import UUID, uuid4

import pytest
import stripe

from engine.money.provider import PaymentFailed, PaymentRefused
from engine.money.providers.stripe.accounts import StripeAccounts
from engine.money.providers.stripe.client import open_client
from engine.money.providers.stripe.payments import MAX_KEYS, StripePayments
from tests.engine.money.providers.stripe.app import API_KEY
from tests.engine.money.providers.stripe.fake import FakeStripe
from tests.engine.money.providers.stripe.ledger import DECLINED, SLOW

POSTER, HUSTLER = uuid4(), uuid4()


@pytest.fixture
def account(fake: FakeStripe) -> str:
    """A hustler's account that can be paid."""
    made: str = fake.ledger.create_account({})["id"]
    fake.ledger.finish_onboarding(made)
    return made


@pytest.fixture
async def escrow(confirming: StripePayments) -> tuple[UUID, str]:
    """An escrow of $40.00 and its payment, which has succeeded."""
    key = uuid4()
    return key, (await confirming.charge(key, 4000, POSTER)).reference


# ── Payments ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_payment_waits_for_its_poster_with_a_client_secret(
    payments: StripePayments, fake: FakeStripe
) -> None:
    """The intent carries our ids and the whole price, captured automatically."""
    key = uuid4()
    movement = await payments.charge(key, 4000, POSTER)
    intent = fake.ledger.objects["payment_intent"][movement.reference]
    assert movement.state == "PENDING"
    assert movement.client_secret == intent["client_secret"]
    assert (intent["amount"], intent["currency"]) == (4000, "usd")
    assert intent["metadata"] == {"escrow_id": str(key), "poster_id": str(POSTER)}
    assert fake.mutations("/payment_intents") == [f"charge-{key}"]


async def test_a_repeated_charge_is_the_same_payment_in_its_present_state(
    payments: StripePayments, fake: FakeStripe
) -> None:
    """Stripe's first answer to the key said that it waits; since then the poster has paid."""
    key = uuid4()
    first = await payments.charge(key, 4000, POSTER)
    fake.ledger.confirm(first.reference, "pm_card_visa")
    again = await payments.charge(key, 4000, POSTER)
    assert (again.reference, again.state) == (first.reference, "SUCCEEDED")
    assert again.client_secret is None
    assert len(fake.ledger.objects["payment_intent"]) == 1


async def test_days_later_a_payment_that_has_begun_goes_on(
    payments: StripePayments, confirming: StripePayments, fake: FakeStripe
) -> None:
    """Stripe has forgotten the key; our row has not forgotten the payment."""
    key = uuid4()
    first = await payments.charge(key, 4000, POSTER)
    fake.api.forget_keys()
    again = await payments.charge(key, 4000, POSTER, begun=first.reference)
    assert again == first
    paid = await confirming.charge(key, 4000, POSTER, begun=first.reference)
    assert (paid.reference, paid.state) == (first.reference, "SUCCEEDED")
    assert len(fake.ledger.objects["payment_intent"]) == 1


async def test_with_a_test_payment_method_a_payment_succeeds_at_once_and_once(
    confirming: StripePayments, fake: FakeStripe
) -> None:
    """Repeating it confirms nothing twice."""
    key = uuid4()
    for _ in range(3):
        assert (await confirming.charge(key, 4000, POSTER)).state == "SUCCEEDED"
    assert fake.ledger.held["platform"] == 4000


async def test_a_declined_card_is_refused_and_another_try_may_succeed(
    sdk: stripe.StripeClient, fake: FakeStripe
) -> None:
    """The idempotency key of the payment does not keep the refusal."""
    key = uuid4()
    with pytest.raises(PaymentRefused, match="declined"):
        await StripePayments(sdk, test_payment_method=DECLINED).charge(key, 4000, POSTER)
    good = StripePayments(sdk, test_payment_method="pm_card_visa")
    assert (await good.charge(key, 4000, POSTER)).state == "SUCCEEDED"
    assert len(fake.ledger.objects["payment_intent"]) == 1


async def test_a_bank_payment_is_pending_until_it_is_there(
    sdk: stripe.StripeClient, fake: FakeStripe
) -> None:
    """`look_up` sees how it went: succeeded, or cancelled."""
    slow = StripePayments(sdk, test_payment_method=SLOW)
    paid, cancelled = [await slow.charge(uuid4(), 4000, POSTER) for _ in range(2)]
    assert (await slow.look_up("PAYMENT", paid.reference)).state == "PENDING"
    fake.ledger.finish_payment(paid.reference)
    fake.ledger.cancel(cancelled.reference)
    assert (await slow.look_up("PAYMENT", paid.reference)).state == "SUCCEEDED"
    assert (await slow.look_up("PAYMENT", cancelled.reference)).state == "FAILED"


async def test_other_terms_under_the_same_key_are_refused(payments: StripePayments) -> None:
    """An escrow's amount never changes; if it did, nobody would be charged twice for it."""
    key = uuid4()
    await payments.charge(key, 4000, POSTER)
    with pytest.raises(PaymentRefused, match="same parameters"):
        await payments.charge(key, 5000, POSTER)


# ── Transfers ────────────────────────────────────────────────────────────────────────────────────


async def test_a_transfer_draws_on_its_own_charge_and_carries_our_ids(
    confirming: StripePayments, fake: FakeStripe, escrow: tuple[UUID, str], account: str
) -> None:
    """So it need not wait until the charge's money is available."""
    key = uuid4()
    movement = await confirming.transfer(
        key, account, HUSTLER, 3400, escrow=escrow[0], payment=escrow[1]
    )
    made = fake.ledger.objects["transfer"][movement.reference]
    assert movement.state == "SUCCEEDED"
    charge = fake.ledger.objects["payment_intent"][escrow[1]]["latest_charge"]
    assert made["source_transaction"] == charge
    assert made["transfer_group"] == str(escrow[0])
    assert made["metadata"]["settlement_id"] == str(key)
    assert fake.mutations("/transfers") == [f"transfer-{key}"]
    assert fake.ledger.held[account] == 3400


async def test_days_later_a_repeated_transfer_finds_the_first(
    confirming: StripePayments, fake: FakeStripe, escrow: tuple[UUID, str], account: str
) -> None:
    """Stripe has forgotten the key; the settlement's id in the metadata has not."""
    key = uuid4()
    for _ in range(3):
        await confirming.transfer(key, account, HUSTLER, 3400, escrow=escrow[0], payment=escrow[1])
        fake.api.forget_keys()
    assert fake.ledger.held[account] == 3400


async def test_a_hustler_without_account_is_refused_before_anybody_is_asked(
    confirming: StripePayments, fake: FakeStripe, escrow: tuple[UUID, str]
) -> None:
    """The sentence goes to the admin."""
    before = len(fake.api.calls)
    with pytest.raises(PaymentRefused, match="no payout account"):
        await confirming.transfer(uuid4(), None, HUSTLER, 1, escrow=escrow[0], payment=escrow[1])
    assert len(fake.api.calls) == before


async def test_an_account_that_was_not_ready_is_paid_when_it_is(
    confirming: StripePayments, fake: FakeStripe, escrow: tuple[UUID, str]
) -> None:
    """Within the day in which the key answers with the old refusal, and to one transfer only."""
    key, late = uuid4(), fake.ledger.create_account({})["id"]

    async def pay() -> None:
        await confirming.transfer(key, late, HUSTLER, 3400, escrow=escrow[0], payment=escrow[1])

    for _ in range(2):
        with pytest.raises(PaymentRefused, match="capability"):
            await pay()
    fake.ledger.finish_onboarding(late)
    await pay()
    await pay()
    assert fake.ledger.held[late] == 3400


async def test_refusals_without_end_use_up_a_bounded_number_of_keys(
    confirming: StripePayments, fake: FakeStripe, escrow: tuple[UUID, str]
) -> None:
    """A loop of ours would not hammer Stripe."""
    key, late = uuid4(), fake.ledger.create_account({})["id"]
    for _ in range(MAX_KEYS + 2):
        with pytest.raises(PaymentRefused, match="capability"):
            await confirming.transfer(key, late, HUSTLER, 1, escrow=escrow[0], payment=escrow[1])
    assert len(set(fake.mutations("/transfers"))) == MAX_KEYS


async def test_money_that_is_not_available_yet_is_tried_again_later(
    confirming: StripePayments, account: str
) -> None:
    """Without a charge to draw on the balance decides: a failure, not a refusal."""
    with pytest.raises(PaymentFailed) as failed:
        await confirming.transfer(uuid4(), account, HUSTLER, 3400, escrow=uuid4(), payment=None)
    assert not isinstance(failed.value, PaymentRefused)


async def test_a_transfer_that_was_taken_back_has_failed(
    confirming: StripePayments, fake: FakeStripe, escrow: tuple[UUID, str], account: str
) -> None:
    """Neither repeating nor looking up takes it for paid."""
    key = uuid4()
    made = await confirming.transfer(
        key, account, HUSTLER, 3400, escrow=escrow[0], payment=escrow[1]
    )
    fake.ledger.reverse(made.reference, {})
    again = await confirming.transfer(
        key, account, HUSTLER, 3400, escrow=escrow[0], payment=escrow[1]
    )
    looked_up = await confirming.look_up("TRANSFER", made.reference)
    assert again.state == looked_up.state == "FAILED"


# ── Refunds ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_part_of_a_payment_goes_back_once(
    confirming: StripePayments, fake: FakeStripe, escrow: tuple[UUID, str]
) -> None:
    """Today and after the key was forgotten; the rest may go back under another settlement."""
    key = uuid4()
    for _ in range(2):
        movement = await confirming.refund(key, escrow[1], 1500, escrow=escrow[0])
        assert movement.state == "SUCCEEDED"
        fake.api.forget_keys()
    assert fake.ledger.held["posters"] == -2500
    await confirming.refund(uuid4(), escrow[1], 2500, escrow=escrow[0])
    assert fake.ledger.held["posters"] == 0


async def test_more_than_was_paid_does_not_go_back(
    confirming: StripePayments, fake: FakeStripe, escrow: tuple[UUID, str]
) -> None:
    """Stripe refuses, and its sentence is kept."""
    with pytest.raises(PaymentRefused, match="greater than unrefunded"):
        await confirming.refund(uuid4(), escrow[1], 4001, escrow=escrow[0])
    assert fake.ledger.held["posters"] == -4000


async def test_a_refund_that_failed_at_the_bank_is_made_anew(
    confirming: StripePayments, fake: FakeStripe, escrow: tuple[UUID, str]
) -> None:
    """Under the same settlement, within the day, and only one of them succeeds."""
    key = uuid4()
    fake.ledger.slow_refunds = True
    first = await confirming.refund(key, escrow[1], 4000, escrow=escrow[0])
    assert first.state == "PENDING"
    fake.ledger.fail_refund(first.reference)
    failed = await confirming.look_up("REFUND", first.reference)
    assert failed.state == "FAILED"
    assert "lost_or_stolen_card" in (failed.note or "")
    second = await confirming.refund(key, escrow[1], 4000, escrow=escrow[0])
    fake.ledger.finish_refund(second.reference)
    again = await confirming.refund(key, escrow[1], 4000, escrow=escrow[0])
    assert second.reference != first.reference
    assert (again.reference, again.state) == (second.reference, "SUCCEEDED")
    assert fake.ledger.held["posters"] == 0


async def test_a_chargeback_that_was_lost_counts_as_a_refund_by_the_bank(
    confirming: StripePayments, fake: FakeStripe, escrow: tuple[UUID, str]
) -> None:
    """It can be looked up like one."""
    dispute = fake.ledger.dispute(escrow[1])["id"]
    assert (await confirming.look_up("REFUND", dispute)).state == "PENDING"
    fake.ledger.close_dispute(dispute, "lost")
    assert (await confirming.look_up("REFUND", dispute)).state == "SUCCEEDED"


async def test_what_stripe_does_not_know_is_refused(confirming: StripePayments) -> None:
    """By any kind of name."""
    for kind, reference in (("PAYMENT", "pi_0"), ("TRANSFER", "tr_0"), ("REFUND", "re_0")):
        with pytest.raises(PaymentRefused, match="No such"):
            await confirming.look_up(kind, reference)  # type: ignore[arg-type]


# ── The net between us ───────────────────────────────────────────────────────────────────────────


async def test_a_lost_answer_and_its_repetition_move_the_money_once(
    confirming: StripePayments, fake: FakeStripe, account: str
) -> None:
    """The call took effect, the connection broke: PaymentFailed, and then the same movement."""
    escrow, transfer, refund = uuid4(), uuid4(), uuid4()
    paid = await confirming.charge(escrow, 4000, POSTER)

    async def pay() -> object:
        return await confirming.transfer(
            transfer, account, HUSTLER, 3000, escrow=escrow, payment=paid.reference
        )

    async def refund_payment() -> object:
        return await confirming.refund(refund, paid.reference, 500, escrow=escrow)

    for call in (pay, refund_payment):
        fake.chaos.turn(lost_answer=1.0)
        with pytest.raises(PaymentFailed) as failed:
            await call()
        assert not isinstance(failed.value, PaymentRefused)
        fake.chaos.turn(lost_answer=0.3)
        for _ in range(30):
            try:
                await call()
            except PaymentFailed:
                continue
    assert fake.ledger.held[account] == 3000
    assert fake.ledger.held["posters"] == -3500


async def test_an_error_of_stripes_may_be_repeated(
    confirming: StripePayments, fake: FakeStripe
) -> None:
    """500 before any effect; and one that the key repeats for a day."""
    key = uuid4()
    fake.chaos.turn(error_before=1.0)
    with pytest.raises(PaymentFailed):
        await confirming.charge(key, 4000, POSTER)
    fake.chaos.turn(error_before=0.0, error_kept=1.0)
    with pytest.raises(PaymentFailed):
        await confirming.charge(key, 4000, POSTER)
    fake.chaos.turn(error_kept=0.0)
    with pytest.raises(PaymentFailed):
        await confirming.charge(key, 4000, POSTER)
    fake.api.forget_keys()
    assert (await confirming.charge(key, 4000, POSTER)).state == "SUCCEEDED"
    assert fake.ledger.held["platform"] == 4000


async def test_twins_at_the_same_time_are_one_payment(
    payments: StripePayments, fake: FakeStripe
) -> None:
    """The later one is told that the first is still under way, and may repeat."""
    key = uuid4()
    fake.api.gate = asyncio.Event()
    first = asyncio.create_task(payments.charge(key, 4000, POSTER))
    await fake.api.at_the_gate.wait()
    with pytest.raises(PaymentFailed) as failed:
        await payments.charge(key, 4000, POSTER)
    assert not isinstance(failed.value, PaymentRefused)
    fake.api.gate.set()
    assert (await first).reference == (await payments.charge(key, 4000, POSTER)).reference


async def test_a_server_that_is_not_there_is_a_failure(unused_tcp_port: int) -> None:
    """And so is a key that Stripe does not know: nobody's settlement is at fault."""
    async with open_client(API_KEY, f"http://127.0.0.1:{unused_tcp_port}") as nowhere:
        with pytest.raises(PaymentFailed, match="APIConnectionError"):
            await StripePayments(nowhere).charge(uuid4(), 4000, POSTER)


async def test_a_key_that_stripe_does_not_know_holds_nobody_back(fake_url: str) -> None:
    """Settlements go on by themselves once the key is right again."""
    async with open_client("sk_test_other", fake_url) as client:
        with pytest.raises(PaymentFailed) as failed:
            await StripePayments(client).charge(uuid4(), 4000, POSTER)
    assert not isinstance(failed.value, PaymentRefused)


# ── Accounts ─────────────────────────────────────────────────────────────────────────────────────


async def test_an_account_is_opened_once_and_filled_in_at_stripe(
    sdk: stripe.StripeClient, fake: FakeStripe
) -> None:
    """A link leads there and back; afterwards it can be paid."""
    accounts, user = StripeAccounts(sdk), uuid4()
    first, again = await accounts.open_account(user), await accounts.open_account(user)
    assert first == again
    assert not first.payouts_enabled
    url = await accounts.onboarding_url(first.account_id, "https://app.example/paid")
    assert url == f"https://connect.example/{first.account_id}?to=https://app.example/paid"
    fake.ledger.finish_onboarding(first.account_id)
    assert (await accounts.account(first.account_id)).payouts_enabled

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import stripe

from engine.kernel.errors import Refusal
from engine.kernel.ids import UserId
from engine.live.broadcast_plan import BroadcastPlan
from engine.money.audit import BooksAudit
from engine.money.comparing import Difference
from engine.money.payout_accounts import Payouts
from engine.money.provider_events import ProviderEvents
from engine.money.providers.simulated import SimulatedPayments
from engine.money.providers.stripe.accounts import StripeAccounts
from engine.money.providers.stripe.books import StripeBooks
from engine.money.providers.stripe.payments import StripePayments
from engine.money.reconciliation import Reconciler
from tests.engine.money.providers.stripe.chaos import KIND
from tests.engine.money.providers.stripe.fake import FakeServer, FakeStripe
from tests.engine.money.providers.stripe.history import History, Terms
from tests.support.market import Market, open_market
from tests.support.servers import TestDatabase

EPOCH = datetime.fromtimestamp(0, UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
async def market(fresh_database: TestDatabase) -> AsyncIterator[Market]:
    """A database of this test alone."""
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as opened:
        yield opened


@pytest.fixture
def history(market: Market, fake_server: FakeServer, sdk: stripe.StripeClient) -> History:
    """A task on a kind Stripe, where nothing happens by itself."""
    return History(
        market,
        fake_server,
        sdk,
        Terms(4_000, 1_500, confirms_here=True),
        seed=1,
        dial=KIND,
        kills=0.0,
    )


@pytest.fixture
def books_audit(market: Market, sdk: stripe.StripeClient) -> BooksAudit:
    """Compares that market with that Stripe."""
    return BooksAudit(
        market.execution,
        market.store,
        StripePayments(sdk),
        StripeBooks(sdk, livemode=False),
        BroadcastPlan(),
    )


async def admin_of(market: Market) -> UserId:
    """Somebody who may repair."""
    admin = await market.user("hustler")
    await market.owner.execute("update users set role = 'admin' where id = $1", admin)
    return admin


async def whats(books_audit: BooksAudit) -> list[str]:
    """What differs, of all time."""
    return sorted(each.what for each in await books_audit.compare(EPOCH, LATER))


# ── The loop ─────────────────────────────────────────────────────────────────────────────────────


async def test_delayed_movements_are_booked_when_their_time_is_over(
    fresh_database: TestDatabase,
) -> None:
    """Without webhooks: the payment, then the transfer, each looked up once it may be there."""
    now = 0.0
    delayed = SimulatedPayments("delayed", delay_s=5.0, clock=lambda: now)
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn, delayed) as market:
        reconciler = Reconciler(
            market.execution,
            market.store,
            delayed,
            ProviderEvents(market.execution, market.store, market.start),
            market.start,
            books=None,
            payouts=Payouts(market.execution, market.store, delayed),
            every_s=60.0,
        )
        task = await market.task("STANDARD")
        await market.commands.money.fund(await market.poster_of(task), task)
        assert await reconciler.sweep() == 0
        assert await market.escrow_state(task) == "PENDING"
        now = 5.0
        assert await reconciler.sweep() == 1
        assert await market.escrow_state(task) == "FUNDED"

        await market.commands.tasks.cancel(await market.poster_of(task), task, None)
        for _ in range(3):
            await market.worker.settle_waiting()
        assert await reconciler.sweep() == 0
        now = 10.0
        assert await reconciler.sweep() == 1
        assert await market.escrow_state(task) == "REFUNDED"
        assert await reconciler.sweep() == 0


async def test_events_whose_webhooks_were_lost_are_told_again(history: History) -> None:
    """Every one of them, once."""
    await history.begin()
    history.fake.chaos.turn(dropped=1.0)
    await history.pay()
    history.fake.ledger.dispute(history.payment())
    assert await history.process.reconciler.sweep() > 0
    assert await history.task_is("CANCELLED")
    assert await history.process.reconciler.sweep() == 0


async def test_one_that_cannot_be_looked_up_keeps_no_other_waiting(
    history: History, market: Market
) -> None:
    """A payment that Stripe does not know stands before one that has succeeded."""
    lost = await market.task("STANDARD")
    escrow = await market.app.fetchval(
        "select begin_funding($1, $2) ->> 'id'", await market.poster_of(lost), lost
    )
    await market.app.execute("select record_payment($1::text::uuid, 'pi_lost')", escrow)
    await history.begin()
    history.confirms_in_the_app()
    history.fake.chaos.turn(dropped=1.0)
    history.confirm(await history.begin_payment())
    assert await history.current_is("PENDING")
    await history.process.reconciler.sweep()
    assert await history.current_is("FUNDED")
    assert await market.escrow_state(lost) == "PENDING"


async def test_a_stripe_that_is_away_is_asked_again_in_the_next_round(history: History) -> None:
    """The window of events does not move on meanwhile."""
    await history.begin()
    history.fake.chaos.turn(dropped=1.0)
    await history.pay()
    history.fake.ledger.dispute(history.payment())
    history.fake.chaos.turn(error_before=1.0)
    assert await history.process.reconciler.sweep() == 0
    history.fake.chaos.turn(error_before=0.0)
    await history.process.reconciler.sweep()
    assert await history.task_is("CANCELLED")


async def test_each_round_asks_for_a_little_more_than_is_new(
    market: Market, sdk: stripe.StripeClient, fake: FakeStripe
) -> None:
    """A day at first, then from ten minutes before the last round that was answered."""
    begin = datetime(2030, 5, 1, tzinfo=UTC)
    times = iter(begin + timedelta(hours=hour) for hour in range(4))
    reconciler = Reconciler(
        market.execution,
        market.store,
        StripePayments(sdk),
        ProviderEvents(market.execution, market.store, market.start),
        market.start,
        books=StripeBooks(sdk, livemode=False),
        payouts=Payouts(market.execution, market.store, StripeAccounts(sdk)),
        every_s=60.0,
        clock=lambda: next(times),
    )
    for fails in (False, True, False, False):
        fake.chaos.turn(lost_answer=float(fails))
        await reconciler.sweep()
    asked = [datetime.fromtimestamp(since, UTC) - begin for since in fake.api.events_since]
    overlap = timedelta(minutes=10)
    assert asked == [-timedelta(days=1), -overlap, -overlap, timedelta(hours=2) - overlap]


async def test_an_account_that_becomes_ready_while_it_is_missed_is_not_missed(
    history: History, market: Market
) -> None:
    """The worker has read that there is none, then there is one, then it wants to hold."""
    await history.begin(account=False)
    await history.pay()
    await history.accept()
    await history.work()
    await history.process.commands.proofs.approve(history.poster, history.task)
    (due,) = await history.process.worker._claimed(1)
    await history.open_account()
    history.fake.ledger.finish_onboarding(history.account)
    await market.app.execute(
        "select set_payout_account($1, $2, true)", history.hustler, history.account
    )
    await history.process.worker._settle(due)
    assert not await history.settlement_is("HELD")
    assert await history.process.worker.settle_waiting() == 1
    assert await history.current_is("RELEASED")


async def test_one_side_s_trouble_does_not_keep_the_other_waiting(history: History) -> None:
    """A split for a hustler without account: the poster's part goes back all the same."""
    await history.begin(account=False)
    await history.pay()
    await history.accept()
    await history.work()
    await history.process.commands.disputes.open(history.poster, history.task, "It is crooked.")
    await history.resolve("SPLIT")
    await history.until(lambda: history.settlement_is("HELD"))
    assert history.fake.ledger.held["posters"] == -1_500
    assert await history.current_is("LOCKED_DISPUTE")
    await history.open_account()
    history.fake.ledger.finish_onboarding(history.account)
    await history.until(lambda: history.current_is("REFUND_PARTIAL"))
    assert history.fake.ledger.held[history.account] == 1_275


async def test_an_older_word_about_an_account_does_not_replace_a_newer_one(
    history: History,
) -> None:
    """The post is late: what Stripe said before the account was ready comes after it."""
    await history.begin(account=False)
    await history.open_account()
    ledger, fake = history.fake.ledger, history.fake
    ledger.finish_onboarding(history.account, enabled=False)
    (late,) = fake.webhooks.waiting
    fake.webhooks.waiting.clear()
    fake.ahead_s = 5
    ledger.finish_onboarding(history.account)
    await fake.webhooks.everything(history._deliver)
    assert await history.is_payable()
    fake.webhooks.waiting.append(late)
    await fake.webhooks.everything(history._deliver)
    assert await history.is_payable()


async def approved_for_nobody(history: History) -> None:
    """A payout that is held because its account cannot be paid, as far as we know."""
    await history.begin(account=False)
    await history.pay()
    await history.open_account()
    await history.accept()
    await history.work()
    await history.process.commands.proofs.approve(history.poster, history.task)
    await history.until(lambda: history.settlement_is("HELD"))


async def test_accounts_that_held_payouts_wait_for_are_asked_about(history: History) -> None:
    """Every word about it was lost: the reconciler asks, and the money goes on."""
    await approved_for_nobody(history)
    history.fake.chaos.turn(dropped=1.0)
    history.fake.ledger.finish_onboarding(history.account)
    history.fake.ledger.events.clear()
    assert await history.process.reconciler.sweep() == 1
    assert await history.process.worker.settle_waiting() == 1
    assert await history.current_is("RELEASED")


async def test_nothing_is_booked_about_an_account_that_stands_as_it_stood(
    history: History, market: Market
) -> None:
    """It is only asked about later than others the next time."""
    await approved_for_nobody(history)
    await history.process.reconciler.sweep()
    assert await history.process.reconciler.sweep() == 0
    assert await market.app.fetchval("select as_of is not null from payout_accounts")
    assert await history.settlement_is("HELD")


@pytest.mark.parametrize("received", [True, False])
async def test_a_payout_to_an_account_that_is_gone_waits_for_another(
    history: History,
    market: Market,
    received: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    """Revoked, which Stripe tells, or deleted, which it answers when it is asked."""
    await history.begin()
    await history.pay()
    await history.accept()
    await history.work()
    if received:
        history.fake.ledger.disconnect(history.account)
        await history.fake.webhooks.everything(history._deliver)
    else:
        history.fake.ledger.delete_account(history.account)
    await history.process.commands.proofs.approve(history.poster, history.task)
    await history.until(lambda: history.settlement_is("HELD"))
    await history.process.reconciler.sweep()
    gone = "select closed_at is not null from payout_accounts where user_id = $1"
    assert await market.app.fetchval(gone, history.hustler)
    assert await history.process.worker.settle_waiting() == 0

    payouts = history.process.payouts
    for _ in range(2):
        account = await payouts.open(history.hustler)
    assert account.account_id != history.account
    assert len(history.fake.ledger.objects["account"]) == 2
    history.account = account.account_id
    history.fake.ledger.finish_onboarding(account.account_id)
    await history.until(lambda: history.current_is("RELEASED"))
    assert history.fake.ledger.held[account.account_id] == 3_400


async def test_a_status_that_nobody_knows_books_nothing_and_is_named(
    history: History, market: Market
) -> None:
    """A payment whose look-up answers a word that did not exist when this was written."""
    await history.begin()
    history.confirms_in_the_app()
    await history.begin_payment()
    (intent,) = history.fake.ledger.objects["payment_intent"].values()
    intent["status"] = "settled"
    assert await history.process.reconciler.sweep() == 0
    assert await history.current_is("PENDING")
    item = await market.app.fetchrow("select kind, subject from admin_items")
    assert tuple(item) == ("UNKNOWN_STATUS", f"{intent['id']} settled")


# ── The comparison ───────────────────────────────────────────────────────────────────────────────


async def test_books_that_agree_have_no_differences(
    history: History, books_audit: BooksAudit
) -> None:
    """After a payment, a transfer and a refund."""
    await history.begin()
    await history.pay()
    await history.accept()
    await history.work()
    await history.process.commands.disputes.open(history.poster, history.task, "It is crooked.")
    await history.resolve("SPLIT")
    await history.until(lambda: history.current_is("REFUND_PARTIAL"))
    assert await whats(books_audit) == []


async def test_a_chargeback_that_was_lost_is_no_missing_refund(
    history: History, books_audit: BooksAudit
) -> None:
    """The bank gave the money back; there is no refund of that name."""
    await history.begin()
    await history.pay()
    dispute = history.fake.ledger.dispute(history.payment())["id"]
    history.fake.ledger.close_dispute(dispute, "lost")
    await history.until(lambda: history.current_is("REFUNDED"))
    assert await whats(books_audit) == []


async def test_what_we_missed_is_reported_once_and_repaired_by_an_admin(
    history: History, market: Market, books_audit: BooksAudit
) -> None:
    """A payment whose every message was lost; afterwards the task is funded and the act on record."""
    await history.begin()
    escrow = await market.app.fetchval(
        "select begin_funding($1, $2) ->> 'id'", history.poster, history.task
    )
    intent = history.fake.ledger.create_payment_intent(
        {"amount": "4000", "currency": "usd", "metadata": {"escrow_id": escrow}}
    )["id"]
    history.fake.ledger.confirm(intent, "pm_card_visa")

    found = await books_audit.compare(EPOCH, LATER)
    assert found == [
        Difference("NOT_BOOKED", "PAYMENT", intent, escrow_id=escrow, theirs_cents=4_000)
    ]
    for _ in range(2):
        await books_audit.report(found)
    items = await market.app.fetch("select subject from admin_items")
    assert [item["subject"] for item in items] == [f"NOT_BOOKED {intent}"]

    with pytest.raises(Refusal, match="not allowed"):
        await books_audit.repair(found, history.poster, "Webhooks were off.")
    assert await history.current_is("PENDING")
    admin = await admin_of(market)
    assert await books_audit.repair(found, admin, "Webhooks were off.") == []
    assert await history.current_is("FUNDED")
    act = await market.app.fetchrow("select * from admin_actions")
    assert (act["admin_id"], act["action_type"], act["target_id"], act["reason"]) == (
        admin,
        "REPAIR_FUNDING",
        escrow,
        "Webhooks were off.",
    )
    assert await whats(books_audit) == []


async def test_a_leg_that_we_missed_is_repaired_too(
    history: History, market: Market, books_audit: BooksAudit
) -> None:
    """The worker died after the call and everything was lost."""
    await history.begin()
    await history.pay()
    await history.process.commands.tasks.cancel(history.poster, history.task, None)
    (due,) = await history.process.worker._claimed(1)
    payments = history.process.worker._payments
    assert due.payment is not None
    await payments.refund(due.id, due.payment, 4_000, escrow=due.escrow_id)
    found = await books_audit.compare(EPOCH, LATER)
    assert [each.what for each in found] == ["NOT_BOOKED"]
    assert await books_audit.repair(found, await admin_of(market), "Lost.") == []
    assert await history.current_is("REFUNDED")


async def test_what_cannot_be_repaired_is_left_for_people(
    history: History, market: Market, books_audit: BooksAudit
) -> None:
    """A refund by hand, a transfer taken back, a payment twice."""
    await history.begin()
    await history.pay()
    ledger = history.fake.ledger
    ledger.create_refund({"payment_intent": history.payment(), "amount": "17"})
    twin = ledger.create_payment_intent(
        {
            "amount": "4000",
            "currency": "usd",
            "metadata": ledger.objects["payment_intent"][history.payment()]["metadata"],
        }
    )
    ledger.finish_payment(twin["id"])
    assert await whats(books_audit) == ["TWICE", "UNASKED"]
    found = await books_audit.compare(EPOCH, LATER)
    assert await books_audit.repair(found, await admin_of(market), "Look.") == found


async def test_what_began_before_the_window_is_looked_up_before_it_is_missed(
    history: History, books_audit: BooksAudit, fake_url: str
) -> None:
    """A payment that took a week at the bank."""
    await history.begin()
    history.fake.ahead_s = -7 * 86_400
    await history.pay()
    now = datetime.now(UTC)
    assert await books_audit.compare(now - timedelta(hours=1), LATER) == []
    history.fake.ledger.objects["payment_intent"][history.payment()]["status"] = "canceled"
    (found,) = await books_audit.compare(now - timedelta(hours=1), LATER)
    assert (found.what, found.kind) == ("NOT_MOVED", "PAYMENT")


async def test_ids_that_are_none_of_ours_do_not_confuse_the_comparison(
    books_audit: BooksAudit, fake: FakeStripe
) -> None:
    """Other business on the same account may use the same words; an id like ours is told."""
    for escrow in ("order-17", str(uuid4())):
        fake.ledger.finish_payment(
            fake.ledger.create_payment_intent(
                {"amount": "4000", "currency": "usd", "metadata": {"escrow_id": escrow}}
            )["id"]
        )
    found = await books_audit.compare(EPOCH, LATER)
    assert [each.what for each in found] == ["UNKNOWN"]

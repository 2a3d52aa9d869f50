"""What can become of a task's money. Each story waits for what its next step needs, and no longer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from tests.engine.money.providers.stripe.history import History

Story = Callable[[History], Awaitable[None]]
End = tuple[str, ...]
"""The states of the task and of its escrows, oldest first."""

RELEASED: Final = ("COMPLETED", "RELEASED")
REFUNDED: Final = ("CANCELLED", "REFUNDED")
SPLIT: Final = ("COMPLETED", "REFUND_PARTIAL")
WAITING: Final = ("CANCELLED", "FUNDED")
"""A part of the payment is gone, or nobody knows: an admin decides about the rest."""
HELD: Final = ("COMPLETED", "LOCKED_DISPUTE")
"""The bank gave the payment back and we owe it to the hustler: an admin decides."""


async def never_paid(h: History) -> None:
    """Cancelled before anybody paid."""
    await h.begin()
    await h.process.commands.tasks.cancel(h.poster, h.task, None)


async def paid_too_late(h: History) -> None:
    """Cancelled while the payment was under way: it comes, and goes back."""
    await h.begin()
    escrow = await h.begin_payment()
    await h.process.commands.tasks.cancel(h.poster, h.task, None)
    h.confirm(escrow)


async def cancelled(h: History) -> None:
    """A full refund."""
    await h.begin()
    await h.pay()
    await h.process.commands.tasks.cancel(h.poster, h.task, None)


async def approved(h: History) -> None:
    """The hustler is paid."""
    await _submitted(h)
    await h.process.commands.proofs.approve(h.poster, h.task)


async def approved_without_account(h: History) -> None:
    """The money waits until the hustler can be paid."""
    await h.begin(account=False)
    await h.pay()
    await h.accept()
    await h.work()
    await h.process.commands.proofs.approve(h.poster, h.task)
    await h.until(lambda: h.settlement_is("HELD"))
    await h.open_account()
    h.fake.ledger.finish_onboarding(h.account)


async def approved_and_taken_back(h: History) -> None:
    """Stripe reverses the transfer afterwards: people have to look."""
    await approved(h)
    await h.until(lambda: h.current_is("RELEASED"))
    h.fake.ledger.reverse(h.fake.ledger.listed("transfer")[0]["id"], {})


async def approved_and_charged_back(h: History) -> None:
    """Too late for the hustler's money: the platform bears it."""
    await approved(h)
    await h.until(lambda: h.current_is("RELEASED"))
    dispute = h.fake.ledger.dispute(h.payment())["id"]
    h.fake.ledger.close_dispute(dispute, "lost")


async def repriced(h: History) -> None:
    """A higher price: a second payment takes over and the first goes back."""
    await h.begin()
    await h.pay()
    await h.accept()
    commands = h.process.commands
    proposal = await commands.pricing.propose(h.hustler, h.task, h.terms.price_cents + 500)
    await commands.pricing.answer(h.poster, h.task, proposal, agrees=True)
    await h.pay()
    await h.work()
    await h.process.commands.proofs.approve(h.poster, h.task)


async def slow_refund(h: History) -> None:
    """The bank takes its time."""
    h.fake.ledger.slow_refunds = True
    await cancelled(h)
    await h.until(lambda: _is(h.refunds("pending")))
    h.fake.ledger.finish_refund(h.refunds("pending")[0])


async def failed_refund(h: History) -> None:
    """The bank sends it back, somebody tries again, and it arrives.

    An admin does; or the worker, where it died before it had noted the first.
    """
    h.fake.ledger.slow_refunds = True
    await cancelled(h)
    await h.until(lambda: _is(h.refunds("pending")))
    h.fake.ledger.fail_refund(h.refunds("pending")[0])

    async def tried_again() -> bool:
        if await h.settlement_is("HELD"):
            await h.retry()
        return bool(h.refunds("pending"))

    await h.until(tried_again)
    h.fake.ledger.finish_refund(h.refunds("pending")[0])


def charged_back_before_work(outcome: str) -> Story:
    """The task ends; the bank decides who has the money."""

    async def story(h: History) -> None:
        await h.begin()
        await h.pay()
        dispute = h.fake.ledger.dispute(h.payment())["id"]
        await h.until(lambda: h.task_is("CANCELLED"))
        h.fake.ledger.close_dispute(dispute, outcome)

    return story


def asked_before_work(*statuses: str) -> Story:
    """The bank only asks; the task goes on unless that becomes a chargeback."""

    async def story(h: History) -> None:
        await h.begin()
        await h.pay()
        dispute = h.fake.ledger.dispute(h.payment(), "warning_needs_response")["id"]
        for status in statuses:
            h.fake.ledger.update_dispute(dispute, status)
        if "needs_response" in statuses:
            await h.until(lambda: h.task_is("CANCELLED"))
            h.fake.ledger.close_dispute(dispute, "lost")
            return
        h.fake.ledger.close_dispute(dispute, "warning_closed")
        await h.accept()
        await h.work()
        await h.process.commands.proofs.approve(h.poster, h.task)

    return story


def disputed_in_parts(second: str) -> Story:
    """Two disputes on one charge: the first is lost."""

    async def story(h: History) -> None:
        await h.begin()
        await h.pay()
        ledger = h.fake.ledger
        part = h.terms.split_cents
        one = ledger.dispute(h.payment(), amount=part)["id"]
        two = ledger.dispute(h.payment(), amount=h.terms.price_cents - part)["id"]
        await h.until(lambda: h.task_is("CANCELLED"))
        ledger.close_dispute(one, "lost")
        ledger.close_dispute(two, second)

    return story


def given_back_by_hand(*, all_of_it: bool) -> Story:
    """Somebody refunds at Stripe, with nothing of ours in its metadata."""

    async def story(h: History) -> None:
        await h.begin()
        await h.pay()
        cents = h.terms.price_cents if all_of_it else h.terms.split_cents
        h.fake.ledger.create_refund({"payment_intent": h.payment(), "amount": str(cents)})
        await h.until(lambda: h.task_is("CANCELLED"))

    return story


async def account_taken_from_us(h: History) -> None:
    """The hustler's account is disconnected before the payout; another one is opened and paid."""
    await _submitted(h)
    h.fake.ledger.disconnect(h.account)
    await h.process.commands.proofs.approve(h.poster, h.task)
    await h.until(lambda: h.settlement_is("HELD"))
    await h.open_account()
    h.fake.ledger.finish_onboarding(h.account)


def charged_back_at_work(ruling: str, outcome: str) -> Story:
    """It becomes a dispute of ours; both have to be decided."""

    async def story(h: History) -> None:
        await h.begin()
        await h.pay()
        await h.accept()
        dispute = h.fake.ledger.dispute(h.payment())["id"]
        await h.until(lambda: h.task_is("DISPUTED"))
        await h.resolve(ruling)
        h.fake.ledger.close_dispute(dispute, outcome)

    return story


def disputed(ruling: str) -> Story:
    """Locked, and decided by an admin."""

    async def story(h: History) -> None:
        await _submitted(h)
        await h.process.commands.disputes.open(h.poster, h.task, "It is crooked.")
        await h.resolve(ruling)

    return story


async def _submitted(h: History) -> None:
    await h.begin()
    await h.pay()
    await h.accept()
    await h.work()


async def _is(found: object) -> bool:
    return bool(found)


STORIES: Final[dict[str, tuple[Story, End]]] = {
    "never paid": (never_paid, ("CANCELLED",)),
    "paid too late": (paid_too_late, ("CANCELLED", "CANCELLED")),
    "cancelled": (cancelled, REFUNDED),
    "approved": (approved, RELEASED),
    "approved without account": (approved_without_account, RELEASED),
    "approved and taken back": (approved_and_taken_back, RELEASED),
    "approved and charged back": (approved_and_charged_back, RELEASED),
    "repriced": (repriced, ("COMPLETED", "REFUNDED", "RELEASED")),
    "slow refund": (slow_refund, REFUNDED),
    "failed refund": (failed_refund, REFUNDED),
    "split": (disputed("SPLIT"), SPLIT),
    "disputed for the hustler": (disputed("HUSTLER"), RELEASED),
    "disputed for the poster": (disputed("POSTER"), REFUNDED),
    "charged back before work, won": (charged_back_before_work("won"), REFUNDED),
    "charged back before work, lost": (charged_back_before_work("lost"), REFUNDED),
    "inquired before work": (asked_before_work(), RELEASED),
    "inquired again": (asked_before_work("warning_under_review"), RELEASED),
    "inquired, then charged back": (asked_before_work("needs_response"), REFUNDED),
    "charged back before work, prevented": (charged_back_before_work("prevented"), WAITING),
    "two disputes, both lost": (disputed_in_parts("lost"), REFUNDED),
    "two disputes, one won": (disputed_in_parts("won"), WAITING),
    "given back by hand": (given_back_by_hand(all_of_it=True), REFUNDED),
    "given back by hand in part": (given_back_by_hand(all_of_it=False), WAITING),
    "account taken from us": (account_taken_from_us, RELEASED),
    "charged back at work, hustler, won": (charged_back_at_work("HUSTLER", "won"), RELEASED),
    "charged back at work, hustler, lost": (charged_back_at_work("HUSTLER", "lost"), HELD),
    "charged back at work, poster, won": (charged_back_at_work("POSTER", "won"), REFUNDED),
    "charged back at work, poster, lost": (charged_back_at_work("POSTER", "lost"), REFUNDED),
    "charged back at work, split, won": (charged_back_at_work("SPLIT", "won"), SPLIT),
    "charged back at work, split, lost": (charged_back_at_work("SPLIT", "lost"), HELD),
}

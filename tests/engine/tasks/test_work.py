"""From accept to payout, and every way of stopping before."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from engine.kernel.errors import Refusal
from engine.kernel.ids import TaskId
from engine.money.provider import Movement, PaymentFailed
from engine.money.providers.simulated import SimulatedPayments
from tests.support.market import Market, open_market
from tests.support.servers import TestDatabase


async def test_the_whole_chain_pays_the_hustler_85_percent(market: Market) -> None:
    """Fund, accept, arrive, start, prove, approve: RELEASED, and both sides see PAYMENT_CAPTURED."""
    task = await market.funded(price_cents=3_333)
    poster = await market.poster_of(task)
    hustler = await market.offered(task)
    await market.commands.live.accept(hustler, task)
    await market.arrive(hustler, task)
    await market.commands.tasks.start(hustler, task, market.codes.code(task, "START", 1))
    await market.commands.proofs.submit(hustler, task, market.codes.code(task, "COMPLETION", 1))
    await market.commands.proofs.approve(poster, task)
    assert await market.escrow_state(task) == "FUNDED"

    await market.worker.settle_waiting()

    escrow = await market.app.fetchrow("select * from escrows where task_id = $1", task)
    assert (escrow["state"], escrow["release_amount"], escrow["fee_amount"]) == (
        "RELEASED",
        3_333,
        499,
    )
    assert escrow["stripe_transfer_id"].startswith("tr_sim_")
    assert market.effects.types_for(hustler)[-1] == "PAYMENT_CAPTURED"
    assert market.effects.types_for(poster)[-1] == "PAYMENT_CAPTURED"
    steps = [(s.from_state, s.to_state) for s in await market.queries.tasks.history(poster, task)]
    assert steps == [
        (None, "MATCHING"),
        ("MATCHING", "ACCEPTED"),
        ("ACCEPTED", "WORKING"),
        ("WORKING", "PROOF_SUBMITTED"),
        ("PROOF_SUBMITTED", "COMPLETED"),
    ]


async def test_start_implies_arrival(market: Market) -> None:
    """The start code is told at the door."""
    task, hustler = await market.accepted()
    await market.commands.tasks.start(hustler, task, market.codes.code(task, "START", 1))

    view = await market.queries.tasks.view(hustler, task)
    assert view.state == "WORKING"
    assert view.arrived_at == view.started_at


async def test_five_wrong_codes_lock_even_the_right_one(own_market: Market) -> None:
    """HX018 wrong four times and a fifth, then locked for 15 minutes, then open again."""
    market = own_market
    task, hustler = await market.accepted()
    right = market.codes.code(task, "START", 1)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for _ in range(5):
        with pytest.raises(Refusal) as caught:
            await market.commands.tasks.start(hustler, task, wrong)
        assert caught.value.kind.invariant == "CODE-WRONG"

    with pytest.raises(Refusal) as caught:
        await market.commands.tasks.start(hustler, task, right)
    assert caught.value.kind.invariant == "CODE-LOCKED"
    assert caught.value.retry_after_s is not None

    await market.advance("15 minutes")
    await market.commands.tasks.start(hustler, task, right)
    assert await market.state(task) == "WORKING"


async def test_a_task_without_required_proof_completes_without_one(market: Market) -> None:
    """Kind NONE, refused where proof is required."""
    task, hustler = await market.working(requires_proof=False)
    await market.commands.proofs.submit(hustler, task, None)
    assert await market.state(task) == "PROOF_SUBMITTED"

    strict, other = await market.accepted()
    with pytest.raises(Refusal) as caught:
        await market.commands.proofs.submit(other, strict, None)
    assert caught.value.kind.invariant == "INV-3"


async def test_silence_for_48_hours_approves(own_market: Market) -> None:
    """The review timer completes and pays, not a second earlier."""
    market = own_market
    task, _ = await market.submitted()
    await market.advance("47 hours 59 minutes 50 seconds")
    await market.timers.fire_due()
    assert await market.state(task) == "PROOF_SUBMITTED"

    await market.advance("11 seconds")
    await market.timers.fire_due()
    await market.worker.settle_waiting()
    assert (await market.state(task), await market.escrow_state(task)) == ("COMPLETED", "RELEASED")


async def test_cancelling_before_arrival_refunds_everything(market: Market) -> None:
    """CANCELLED, REFUNDED in full, the broadcast over, both sides told."""
    task, hustler = await market.accepted()
    await market.commands.tasks.cancel(await market.poster_of(task), task, "changed my mind")
    await market.worker.settle_waiting()

    assert (await market.state(task), await market.escrow_state(task)) == ("CANCELLED", "REFUNDED")
    assert market.effects.types_for(hustler)[-1] == "JOB_CANCELLED"


async def test_cancelling_after_arrival_is_refused(market: Market) -> None:
    """HX010: who stands at the door is not sent away for nothing."""
    task, hustler = await market.accepted()
    await market.arrive(hustler, task)

    with pytest.raises(Refusal) as caught:
        await market.commands.tasks.cancel(await market.poster_of(task), task, None)
    assert caught.value.kind.code == "HX010"


async def test_only_the_poster_cancels(market: Market) -> None:
    """The hustler is refused, a stranger learns nothing."""
    task, hustler = await market.accepted()
    for who, code in ((hustler, "HX503"), (await market.user("poster"), "NOT_FOUND")):
        with pytest.raises(Refusal) as caught:
            await market.commands.tasks.cancel(who, task, None)
        assert caught.value.kind.code == code


async def test_a_released_task_has_a_successor_with_the_same_money(market: Market) -> None:
    """The old one is CANCELLED, the new one is broadcast with the escrow, and both sides know."""
    task, hustler = await market.accepted()
    poster = await market.poster_of(task)
    await market.commands.tasks.release(hustler, task, "flat tyre")

    old = await market.queries.tasks.view(poster, task)
    assert (old.state, old.escrow) == ("CANCELLED", None)
    assert old.successor_id is not None
    successor = await market.queries.tasks.view(poster, TaskId(old.successor_id))
    assert (successor.state, successor.predecessor_id) == ("MATCHING", task)
    assert successor.escrow is not None
    assert successor.escrow.state == "FUNDED"
    assert successor.broadcast is not None
    assert successor.broadcast.state == "ACTIVE"
    assert market.effects.types_for(hustler)[-1] == "JOB_CANCELLED"


async def test_switching_to_standard_moves_the_escrow_once(own_market: Market) -> None:
    """After the broadcast expired; a double click finds the same successor."""
    market = own_market
    task = await market.funded()
    poster = await market.poster_of(task)
    with pytest.raises(Refusal):
        await market.commands.tasks.choose(poster, task, "SWITCH_TO_STANDARD")
    await market.advance("10 minutes")
    await market.timers.fire_due()

    first, second = await asyncio.gather(
        market.commands.tasks.choose(poster, task, "SWITCH_TO_STANDARD"),
        market.commands.tasks.choose(poster, task, "SWITCH_TO_STANDARD"),
    )

    assert first == second
    assert first.task != task
    successor = await market.queries.tasks.view(poster, first.task)
    assert (successor.mode, successor.state) == ("STANDARD", "OPEN")
    assert await market.escrow_state(first.task) == "FUNDED"


async def test_no_choice_for_24_hours_refunds(own_market: Market) -> None:
    """Money is not held without an end."""
    market = own_market
    task = await market.funded()
    await market.advance("10 minutes")
    await market.timers.fire_due()
    assert await market.state(task) == "MATCHING"
    await market.advance("24 hours")
    await market.timers.fire_due()
    await market.worker.settle_waiting()

    assert (await market.state(task), await market.escrow_state(task)) == ("CANCELLED", "REFUNDED")


async def test_an_unfunded_task_is_cancelled_after_24_hours(own_market: Market) -> None:
    """A funded one stays."""
    market = own_market
    unfunded, funded = await market.task("STANDARD"), await market.funded("STANDARD")
    await market.advance("24 hours 1 second")
    await market.timers.fire_due()

    assert await market.state(unfunded) == "CANCELLED"
    assert await market.state(funded) == "OPEN"


async def test_the_deadline_bounds_acceptance_and_refunds(own_market: Market) -> None:
    """A LIVE and a STANDARD task expire at their deadline; an accepted one goes on."""
    market = own_market
    now = await market.queries.clock.now()
    deadline = now.replace(microsecond=0) + timedelta(minutes=5)
    live = await market.funded(deadline=deadline)
    standard = await market.funded("STANDARD", deadline=deadline)
    held, _ = await market.accepted(deadline=deadline)
    await market.advance("5 minutes 1 second")
    while await market.timers.fire_due():
        pass
    await market.worker.settle_waiting()

    assert [await market.state(t) for t in (live, standard, held)] == [
        "EXPIRED",
        "EXPIRED",
        "ACCEPTED",
    ]
    assert await market.escrow_state(live) == "REFUNDED"


async def test_two_prices_in_a_row_give_both_old_payments_back(
    own_market: Market,
) -> None:
    """Also when the first refund is slower than the second agreement."""
    market = own_market
    task, hustler = await market.accepted("STANDARD")
    poster = await market.poster_of(task)
    for price in (5_000, 6_000):
        proposal = await market.commands.pricing.propose(hustler, task, price)
        await market.commands.pricing.answer(poster, task, proposal, agrees=True)
        await market.commands.money.fund(poster, task)
    await market.worker.settle_waiting()
    rows = await market.app.fetch(
        "select state, amount from escrows where task_id = $1 order by amount", task
    )
    assert [tuple(row) for row in rows] == [
        ("REFUNDED", 4_000),
        ("REFUNDED", 5_000),
        ("FUNDED", 6_000),
    ]


class Declining(SimulatedPayments):
    """A provider whose calls fail until told otherwise."""

    failing = True

    async def charge(
        self, key: UUID, amount_cents: int, poster: UUID, *, begun: str | None = None
    ) -> Movement:
        """Fail, or succeed."""
        if self.failing:
            raise PaymentFailed("card declined")
        return await super().charge(key, amount_cents, poster, begun=begun)

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
        """Fail, or succeed."""
        if self.failing:
            raise PaymentFailed("bank closed")
        return await super().transfer(
            key, account, hustler, amount_cents, escrow=escrow, payment=payment
        )


async def test_a_failed_charge_leaves_the_escrow_pending_and_may_be_repeated(
    database_dsn: str, owner_dsn: str
) -> None:
    """No broadcast, no money; the second try uses the same escrow."""
    payments = Declining()
    async with open_market(database_dsn, owner_dsn, payments) as market:
        task = await market.task()
        poster = await market.poster_of(task)
        with pytest.raises(Refusal):
            await market.commands.money.fund(poster, task)
        assert await market.escrow_state(task) == "PENDING"
        payments.failing = False

        first = await market.commands.money.fund(poster, task)
        second = await market.commands.money.fund(poster, task)

        assert first == second
        assert await market.escrow_state(task) == "FUNDED"
        assert (
            await market.app.fetchval(
                "select count(*) from live_broadcasts where task_id = $1", task
            )
            == 1
        )


class Slow(SimulatedPayments):
    """A provider at work while something else happens."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.refunds: list[tuple[str, int]] = []

    async def charge(
        self, key: UUID, amount_cents: int, poster: UUID, *, begun: str | None = None
    ) -> Movement:
        """Take the money, but say so late."""
        self.asked.set()
        await self.answer.wait()
        return await super().charge(key, amount_cents, poster, begun=begun)

    async def refund(self, key: UUID, payment: str, amount_cents: int, *, escrow: UUID) -> Movement:
        """Remember what was given back."""
        self.refunds.append((payment, amount_cents))
        return await super().refund(key, payment, amount_cents, escrow=escrow)


async def test_a_payment_that_comes_after_the_end_is_given_back(
    fresh_database: TestDatabase,
) -> None:
    """Cancelled while the provider was at work: no broadcast, no money kept, once."""
    payments = Slow()
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn, payments) as market:
        task = await market.task()
        poster = await market.poster_of(task)
        funding = asyncio.create_task(market.commands.money.fund(poster, task))
        await payments.asked.wait()
        await market.commands.tasks.cancel(poster, task, None)
        payments.answer.set()
        escrow = (await funding).escrow

        await market.worker.settle_waiting()
        await market.worker.settle_waiting()

        assert await market.escrow_state(task) == "CANCELLED"
        assert payments.refunds == [(f"pi_sim_{escrow.hex}", 4_000)]
        assert await market.app.fetchval("select state from settlements") == "DONE"
        assert await market.app.fetchval("select count(*) from live_broadcasts") == 0


async def test_an_ended_task_cannot_be_funded(market: Market) -> None:
    """HX001, whether it was ever paid or not."""
    task = await market.task()
    poster = await market.poster_of(task)
    await market.commands.tasks.cancel(poster, task, None)
    with pytest.raises(Refusal) as caught:
        await market.commands.money.fund(poster, task)
    assert caught.value.kind.code == "HX001"


async def test_one_broken_timer_does_not_hold_up_the_others(
    own_market: Market,
) -> None:
    """The broken one is put off; the rest is carried out in the same round."""
    market = own_market
    unfunded = await market.task("STANDARD")
    submitted, _ = await market.submitted()
    await market.commands.proofs.approve(await market.poster_of(submitted), submitted)
    # completing it a second time breaks on the one settlement of its escrow
    await market.owner.execute("alter table tasks disable trigger user")
    await market.owner.execute(
        "update tasks set state = 'PROOF_SUBMITTED' where id = $1", submitted
    )
    await market.owner.execute("alter table tasks enable trigger user")
    await market.app.execute(
        "insert into timers (kind, subject, due_at)"
        " values ('REVIEW', $1, hx_clock() - interval '1 hour')",
        submitted,
    )
    await market.app.execute("update timers set due_at = hx_clock() where subject = $1", unfunded)

    await market.timers.fire_due()

    assert await market.state(unfunded) == "CANCELLED"
    assert await market.app.fetchval(
        "select due_at > hx_clock() from timers where subject = $1", submitted
    )


async def test_a_failed_transfer_keeps_the_escrow_funded_until_it_succeeds(
    database_dsn: str, owner_dsn: str
) -> None:
    """RELEASED means the money moved: a failure is counted and tried again later."""
    payments = Declining()
    payments.failing = False
    async with open_market(database_dsn, owner_dsn, payments) as market:
        task, hustler = await market.submitted()
        payments.failing = True
        await market.commands.proofs.approve(await market.poster_of(task), task)
        await market.worker.settle_waiting()
        assert await market.escrow_state(task) == "FUNDED"
        assert "PAYMENT_CAPTURED" not in market.effects.types_for(hustler)

        payments.failing = False
        await market.app.execute(
            "update settlements set due_at = hx_clock() where state = 'PENDING'"
        )
        await market.worker.settle_waiting()
        assert await market.escrow_state(task) == "RELEASED"


async def test_money_held_for_sixty_days_comes_to_the_admin_queue(own_market: Market) -> None:
    """Providers limit for how long money may be held; an admin learns of it, once."""
    market = own_market
    task = await market.funded("STANDARD")
    await market.advance("59 days 23 hours")
    await market.timers.fire_due()
    count = "select count(*) from admin_items where kind = 'FUNDS_HELD' and closed_at is null"
    assert await market.app.fetchval(count) == 0

    await market.advance("1 hour")
    await market.timers.fire_due()
    assert await market.app.fetchval(count) == 1
    assert await market.state(task) == "OPEN"

    await market.commands.tasks.cancel(await market.poster_of(task), task, None)
    await market.worker.settle_waiting()
    assert await market.app.fetchval(count) == 0


class GivingUp(SimulatedPayments):
    """A provider that gives the first payment of each market up."""

    def __init__(self) -> None:
        super().__init__()
        self.charged: list[UUID] = []

    async def charge(
        self, key: UUID, amount_cents: int, poster: UUID, *, begun: str | None = None
    ) -> Movement:
        """FAILED for the first key, as ever for the others."""
        self.charged.append(key)
        if key == self.charged[0]:
            return Movement(f"pi_{key.hex}", "FAILED")
        return await super().charge(key, amount_cents, poster, begun=begun)


async def test_a_payment_that_the_provider_gave_up_is_followed_by_another(
    database_dsn: str, owner_dsn: str
) -> None:
    """The poster is told to fund again, and does, under another escrow."""
    payments = GivingUp()
    async with open_market(database_dsn, owner_dsn, payments) as market:
        task = await market.task()
        poster = await market.poster_of(task)
        with pytest.raises(Refusal, match="fund again") as caught:
            await market.commands.money.fund(poster, task)
        assert (caught.value.kind.code, caught.value.kind.invariant) == ("HX016", "PAYMENT")

        await market.commands.money.fund(poster, task)

        assert await market.escrow_state(task) == "FUNDED"
        assert len(set(payments.charged)) == 2

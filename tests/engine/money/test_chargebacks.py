"""What a bank takes back counts for as much as it took, wherever the payment stands."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from engine.kernel.ids import TaskId
from tests.engine.money.books import broken
from tests.engine.money.raw_commands import PLAN
from tests.support.market import Market, open_market
from tests.support.servers import TestDatabase


@pytest.fixture
async def market(fresh_database: TestDatabase) -> AsyncIterator[Market]:
    """The engine on a database of this test alone."""
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as market:
        yield market


async def bank(market: Market, what: str, payment: str, cents: int) -> None:
    """An event about the chargeback on a payment."""
    fact: dict[str, Any] = {
        "kind": f"CHARGEBACK_{what}",
        "reference": f"dp_{payment}",
        "payment": payment,
        "amount_cents": cents,
    }
    await market.store.perform(
        "book_provider_event", str(uuid.uuid4()), "charge.dispute", json.dumps(fact), "{}"
    )


async def provider(market: Market, kind: str, reference: str, **more: Any) -> None:
    """Any event of the provider; `at` in seconds tells its order, whenever it arrives."""
    fact = {"kind": kind, "reference": reference, **more}
    if "at" in fact:
        fact["at"] = f"2030-01-01T00:00:{fact['at']:02}Z"
    await market.store.perform(
        "book_provider_event", str(uuid.uuid4()), kind.lower(), json.dumps(fact), PLAN
    )


async def items(market: Market) -> list[tuple[str, str]]:
    """Kind and subject of what lies open in the admin queue."""
    rows = await market.app.fetch(
        "select kind, subject from admin_items where closed_at is null order by kind, subject"
    )
    return [(row["kind"], row["subject"]) for row in rows]


async def submitted(market: Market) -> tuple[TaskId, str]:
    """A task whose proof waits for its poster, and its payment."""
    task, hustler = await market.accepted("STANDARD")
    await market.commands.tasks.start(hustler, task, market.codes.code(task, "START", 1))
    await market.commands.proofs.submit(hustler, task, market.codes.code(task, "COMPLETION", 1))
    return task, await payment_of(market, task)


async def payment_of(market: Market, task: TaskId) -> str:
    """The payment of its current escrow."""
    payment: str = await market.app.fetchval(
        "select stripe_payment_intent_id from escrows where task_id = $1 and is_current", task
    )
    return payment


async def settlement(market: Market) -> tuple[str, str | None]:
    """State and refund reference of the only settlement."""
    row = await market.app.fetchrow("select state, refund_reference from settlements")
    return row["state"], row["refund_reference"]


@pytest.mark.parametrize(
    ("taken_cents", "ending"), [(4_000, "DONE"), (4_500, "DONE"), (3_999, "HELD")]
)
async def test_a_lost_chargeback_is_the_refund_only_if_it_took_it_all(
    market: Market, taken_cents: int, ending: str
) -> None:
    """$40 held: a cent less than that is an admin's case, and no money is called refunded."""
    task = await market.funded("STANDARD")
    payment = await payment_of(market, task)

    await bank(market, "OPENED", payment, taken_cents)
    assert await market.state(task) == "CANCELLED"
    assert await settlement(market) == ("HELD", None)
    await bank(market, "LOST", payment, taken_cents)
    await market.worker.settle_waiting()

    assert (await settlement(market))[0] == ending
    assert await market.escrow_state(task) == ("REFUNDED" if ending == "DONE" else "FUNDED")


@pytest.mark.parametrize(("taken_cents", "ending"), [(4_000, "DONE"), (3_999, "HELD")])
async def test_a_decision_for_the_poster_after_the_bank_s(
    market: Market, taken_cents: int, ending: str
) -> None:
    """The dispute that a chargeback opened is decided when the bank has decided already."""
    task, hustler = await market.accepted("STANDARD")
    await market.commands.tasks.start(hustler, task, market.codes.code(task, "START", 1))
    payment = await payment_of(market, task)
    await bank(market, "OPENED", payment, taken_cents)
    assert await market.state(task) == "DISPUTED"
    await bank(market, "LOST", payment, taken_cents)
    dispute = await market.app.fetchval("select id from disputes where task_id = $1", task)
    admin = await market.user("admin")
    await market.app.fetchval(
        "select resolve_dispute($1, $2, 'POSTER', null, 'No work was done.')", admin, dispute
    )
    await market.worker.settle_waiting()

    assert (await settlement(market))[0] == ending


async def test_a_chargeback_on_a_late_payment_stops_its_way_back(market: Market) -> None:
    """The bank has the money: it is not given back a second time."""
    task = await market.task("STANDARD")
    poster = await market.poster_of(task)
    key = (await market.store.call(dict[str, Any], "begin_funding", poster, task))["id"]
    await market.commands.tasks.cancel(poster, task, None)
    await market.store.perform("book_funding", key, "pi_late", "{}")
    assert await settlement(market) == ("PENDING", None)

    await bank(market, "OPENED", "pi_late", 4_000)
    await market.worker.settle_waiting()
    assert await settlement(market) == ("HELD", None)

    await bank(market, "LOST", "pi_late", 4_000)
    assert await settlement(market) == ("DONE", "dp_pi_late")


# ── Several, partial, and inquiries ──────────────────────────────────────────────────────────────


async def test_money_is_held_while_any_dispute_on_it_is_open(market: Market) -> None:
    """Won, won, and only then it goes back; the admin queue says which is open."""
    task = await market.funded("STANDARD")
    payment = await payment_of(market, task)
    for name in ("dp_a", "dp_b"):
        await provider(market, "CHARGEBACK_OPENED", name, payment=payment, amount_cents=2_000)
    await provider(market, "CHARGEBACK_WON", "dp_a", payment=payment, amount_cents=2_000)
    await market.worker.settle_waiting()
    assert await settlement(market) == ("HELD", None)
    assert ("CHARGEBACK", "dp_b") in await items(market)
    await provider(market, "CHARGEBACK_WON", "dp_b", payment=payment, amount_cents=2_000)
    await market.worker.settle_waiting()
    assert await market.escrow_state(task) == "REFUNDED"
    assert await items(market) == []


@pytest.mark.parametrize(
    ("second", "ending"),
    [("LOST", ("DONE", "dp_b")), ("WON", ("HELD", None)), ("OPENED", ("HELD", None))],
)
async def test_the_bank_has_refunded_only_the_sum_of_what_was_lost(
    market: Market, second: str, ending: tuple[str, str | None]
) -> None:
    """Two partial disputes: $25 and $15 of $40."""
    task = await market.funded("STANDARD")
    payment = await payment_of(market, task)
    await provider(market, "CHARGEBACK_LOST", "dp_a", payment=payment, amount_cents=2_500)
    await provider(market, f"CHARGEBACK_{second}", "dp_b", payment=payment, amount_cents=1_500)
    await market.worker.settle_waiting()
    assert await settlement(market) == ending
    assert await broken(market.owner) == {}


async def test_an_inquiry_is_a_matter_for_the_admin_queue_alone(market: Market) -> None:
    """The work goes on and is paid; the item closes with the inquiry."""
    task, payment = await submitted(market)
    await provider(market, "INQUIRY_OPENED", "dp_a", payment=payment, amount_cents=4_000)
    assert await items(market) == [("INQUIRY", "dp_a")]
    await market.commands.proofs.approve(await market.poster_of(task), task)
    await market.worker.settle_waiting()
    assert await market.escrow_state(task) == "RELEASED"
    await provider(market, "INQUIRY_CLOSED", "dp_a", payment=payment, amount_cents=4_000)
    assert await items(market) == []


async def test_an_inquiry_that_becomes_a_chargeback_is_one(market: Market) -> None:
    """For what the chargeback takes, not for what the inquiry was about."""
    task, payment = await submitted(market)
    await provider(market, "INQUIRY_OPENED", "dp_a", payment=payment, amount_cents=1_000)
    await provider(market, "CHARGEBACK_OPENED", "dp_a", payment=payment, amount_cents=4_000)
    assert await market.state(task) == "DISPUTED"
    assert await items(market) == [("CHARGEBACK", "dp_a")]
    assert await market.app.fetchval("select amount from chargebacks") == 4_000


async def test_a_status_that_nobody_knows_leaves_the_money_held_and_is_named(
    market: Market,
) -> None:
    """In the admin queue, with the word that the provider used."""
    task = await market.funded("STANDARD")
    payment = await payment_of(market, task)
    for status in ("prevented", "appeal_under_review"):
        await provider(
            market, "CHARGEBACK_OPENED", "dp_a", payment=payment, amount_cents=4_000,
            unknown_status=status,
        )  # fmt: skip
    assert await settlement(market) == ("HELD", None)
    named = [subject for kind, subject in await items(market) if kind == "UNKNOWN_STATUS"]
    assert named == ["dp_a appeal_under_review", "dp_a prevented"]


async def test_a_dispute_that_was_lost_and_then_won_lies_in_the_admin_queue(market: Market) -> None:
    """Held for want of cover, the payout goes on; where it counted as the refund, people look."""
    task, payment = await submitted(market)
    await bank(market, "OPENED", payment, 4_000)
    await bank(market, "LOST", payment, 4_000)
    admin = await market.user("admin")
    dispute = await market.app.fetchval("select id from disputes where task_id = $1", task)
    await market.app.fetchval(
        "select resolve_dispute($1, $2, 'HUSTLER', null, 'The work was done.')", admin, dispute
    )
    await market.worker.settle_waiting()
    assert await settlement(market) == ("HELD", None)
    await bank(market, "WON", payment, 4_000)
    await market.worker.settle_waiting()
    assert await market.escrow_state(task) == "RELEASED"

    other = await market.funded("STANDARD")
    payment = await payment_of(market, other)
    for what in ("OPENED", "LOST", "WON"):
        await bank(market, what, payment, 4_000)
    assert await market.escrow_state(other) == "REFUNDED"
    assert ("CHARGEBACK_REVERSED", f"dp_{payment}") in await items(market)
    assert await broken(market.owner) == {}


# ── Refunds by hand ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "facts",
    [
        [("REFUND_SUCCEEDED", "re_a", 4_000)],
        [("CHARGE_REFUNDED", "ch_a", 4_000)],
        [("CHARGE_REFUNDED", "ch_a", 4_000), ("REFUND_SUCCEEDED", "re_a", 4_000)],
        [("REFUND_PENDING", "re_a", 4_000), ("REFUND_SUCCEEDED", "re_a", 4_000)],
        [("REFUND_SUCCEEDED", "re_a", 1_500), ("REFUND_SUCCEEDED", "re_b", 2_500)],
    ],
)
async def test_a_payment_given_back_by_hand_ends_the_offers_and_counts_as_the_refund(
    market: Market, facts: Sequence[tuple[str, str, int]]
) -> None:
    """However it is told; nothing is given back a second time."""
    task = await market.funded("LIVE")
    payment = await payment_of(market, task)
    for kind, name, cents in facts:
        await provider(market, kind, name, payment=payment, amount_cents=cents)
    await market.worker.settle_waiting()
    ended = await market.app.fetchrow("select state, cancel_reason from tasks where id = $1", task)
    assert tuple(ended) == ("CANCELLED", "REFUNDED")
    assert await market.app.fetchval("select state from live_broadcasts") == "CANCELLED"
    assert await market.escrow_state(task) == "REFUNDED"
    assert "EXTERNAL_REFUND" in {kind for kind, _ in await items(market)}
    assert await broken(market.owner) == {}


@pytest.mark.parametrize("kind", ["REFUND_SUCCEEDED", "REFUND_PENDING", "CHARGE_REFUNDED"])
async def test_after_a_partial_refund_by_hand_nothing_moves_until_an_admin_says_so(
    market: Market, kind: str
) -> None:
    """A cent is enough: at work it becomes a dispute, and the decided payout waits."""
    task, payment = await submitted(market)
    await provider(market, kind, "x_a", payment=payment, amount_cents=1)
    assert await market.state(task) == "DISPUTED"
    admin = await market.user("admin")
    dispute = await market.app.fetchval("select id from disputes where task_id = $1", task)
    await market.app.fetchval(
        "select resolve_dispute($1, $2, 'HUSTLER', null, 'The work was done.')", admin, dispute
    )
    await market.worker.settle_waiting()
    assert await settlement(market) == ("HELD", None)
    assert await broken(market.owner) == {}
    await market.app.fetchval(
        "select retry_settlement($1, (select id from settlements), 'We bear it.')", admin
    )
    await market.worker.settle_waiting()
    assert await market.escrow_state(task) == "RELEASED"


async def test_a_refund_by_hand_that_fails_sets_the_money_free_again(market: Market) -> None:
    """The task has ended; its own refund is made then."""
    task = await market.funded("STANDARD")
    payment = await payment_of(market, task)
    for state in ("PENDING", "FAILED", "PENDING"):
        await provider(market, f"REFUND_{state}", "re_a", payment=payment, amount_cents=4_000)
    await market.worker.settle_waiting()
    assert await market.escrow_state(task) == "REFUNDED"
    assert (await settlement(market))[1] != "re_a"
    assert await items(market) == []


async def test_our_own_refund_is_none_by_hand(market: Market) -> None:
    """Neither by the sum that its charge shows, nor by its name where its metadata is lost."""
    task = await market.funded("STANDARD")
    payment = await payment_of(market, task)
    await market.commands.tasks.cancel(await market.poster_of(task), task, None)
    await provider(market, "CHARGE_REFUNDED", "ch_a", payment=payment, amount_cents=4_000)
    await market.worker.settle_waiting()
    name = (await settlement(market))[1]
    assert name is not None
    await provider(market, "REFUND_SUCCEEDED", name, payment=payment, amount_cents=4_000)
    assert await market.app.fetchval("select count(*) from external_refunds") == 0
    assert await items(market) == []


async def test_what_names_only_the_charge_is_known_by_the_payment_s_own_event(
    market: Market,
) -> None:
    """Whether that comes before it or after."""
    for after in (False, True):
        task = await market.funded("STANDARD")
        payment, charge = await payment_of(market, task), f"ch_{after}"
        received = [
            ("PAYMENT_SUCCEEDED", f"pi_{after}", {"payment": payment, "charge": charge}),
            ("CHARGEBACK_OPENED", f"dp_{after}", {"charge": charge}),
        ]
        for kind, name, more in received[::-1] if after else received:
            await provider(market, kind, name, amount_cents=4_000, **more)
        assert await market.state(task) == "CANCELLED"


# ── Any order ────────────────────────────────────────────────────────────────────────────────────

PAID = ("PAYMENT_SUCCEEDED", "pi", 4_000, 0)
LINES: dict[str, list[tuple[str, str, int, int]]] = {
    "won": [PAID, ("CHARGEBACK_OPENED", "dp_a", 4_000, 1), ("CHARGEBACK_WON", "dp_a", 4_000, 2)],
    "lost": [PAID, ("CHARGEBACK_OPENED", "dp_a", 4_000, 1), ("CHARGEBACK_LOST", "dp_a", 4_000, 2)],
    "asked, then disputed": [
        PAID, ("INQUIRY_OPENED", "dp_a", 4_000, 1), ("CHARGEBACK_OPENED", "dp_a", 4_000, 2),
    ],
    "asked, answered": [
        PAID, ("INQUIRY_OPENED", "dp_a", 4_000, 1), ("INQUIRY_CLOSED", "dp_a", 4_000, 2),
    ],
    "answered, then disputed": [
        PAID, ("INQUIRY_CLOSED", "dp_a", 4_000, 1), ("CHARGEBACK_OPENED", "dp_a", 4_000, 2),
    ],
    "two disputes": [
        PAID, ("CHARGEBACK_OPENED", "dp_a", 2_500, 1), ("CHARGEBACK_OPENED", "dp_b", 1_500, 2),
        ("CHARGEBACK_LOST", "dp_a", 2_500, 3), ("CHARGEBACK_LOST", "dp_b", 1_500, 4),
    ],
    "one of two": [
        PAID, ("CHARGEBACK_LOST", "dp_a", 2_500, 1), ("CHARGEBACK_OPENED", "dp_b", 1_500, 2),
        ("CHARGEBACK_WON", "dp_b", 1_500, 3),
    ],
    "won, then disputed again": [
        PAID, ("CHARGEBACK_WON", "dp_a", 4_000, 1), ("CHARGEBACK_OPENED", "dp_a", 4_000, 2),
    ],
    "given back": [
        PAID, ("REFUND_PENDING", "re_a", 4_000, 1), ("REFUND_SUCCEEDED", "re_a", 4_000, 2),
        ("CHARGE_REFUNDED", "ch_a", 4_000, 2),
    ],
    "given back in part": [
        PAID, ("REFUND_SUCCEEDED", "re_a", 400, 1), ("CHARGE_REFUNDED", "ch_a", 400, 1),
    ],
    "given back in vain": [
        PAID, ("REFUND_PENDING", "re_a", 4_000, 1), ("REFUND_FAILED", "re_a", 4_000, 2),
    ],
    "given back and disputed": [
        PAID, ("REFUND_SUCCEEDED", "re_a", 1_000, 1), ("CHARGEBACK_OPENED", "dp_a", 3_000, 2),
        ("CHARGEBACK_LOST", "dp_a", 3_000, 3),
    ],
}  # fmt: skip
"""Kind, name, cents and second of what the provider tells of one payment."""


async def ended(
    market: Market, line: Sequence[tuple[str, str, int, int]], *, named: bool, settles: bool
) -> tuple[Any, ...]:
    """How a task ends whose payment's events arrive so.

    `named`: the payment was begun by name, and its success is told by an event.

    `settles`: the worker runs between them. Which of several takings was heard of first, and gave the
    reason or the refund its name, is no part of it.
    """
    task = await market.task("LIVE")
    escrow = await market.app.fetchval(
        "select begin_funding($1, $2) ->> 'id'", await market.poster_of(task), task
    )
    if named:
        await market.app.execute("select record_payment($1, $2)", uuid.UUID(escrow), f"pi_{task}")
    for kind, name, cents, at in line:
        if kind == "PAYMENT_SUCCEEDED" and not named:
            # the answer of the charge, or the reconciler's look-up
            await market.store.perform("book_funding", uuid.UUID(escrow), f"pi_{task}", PLAN)
        else:
            await provider(
                market, kind, f"{name}_{task}", payment=f"pi_{task}", amount_cents=cents, at=at
            )
        if settles:
            await market.worker.settle_waiting()
    await market.worker.settle_waiting()
    row = await market.app.fetchrow(
        "select t.state, t.cancel_reason in ('CHARGEBACK', 'REFUNDED'), e.state as escrow, s.state as settled, s.refund_done,"
        " (select array_agg(c.state order by c.id) from chargebacks as c"
        "  where c.escrow_id = e.id) as disputes,"
        " (select count(*) from live_broadcasts as b where b.task_id = t.id"
        "  and b.state = 'ACTIVE') as broadcasts,"
        " (select array_agg(i.kind order by i.kind) from admin_items as i"
        "  where i.closed_at is null and i.kind <> 'EXTERNAL_REFUND'"
        "  and (i.subject like '%' || t.id or i.subject = s.id::text)) as items"
        " from tasks as t join escrows as e on e.task_id = t.id"
        " left join settlements as s on s.escrow_id = e.id where t.id = $1",
        task,
    )
    return tuple(row)


@pytest.mark.parametrize("name", LINES)
async def test_in_whatever_order_the_events_of_a_payment_arrive_it_ends_the_same(
    market: Market, name: str
) -> None:
    """Dispute before payment, closed before created, all of it between rounds of the worker."""
    line = LINES[name]
    chance = random.Random(name)
    orders = list(itertools.permutations(line))
    for order in [line, *chance.sample(orders, min(len(orders), 6))]:
        received = list(order) + chance.choices(order, k=2)
        calm = await ended(market, line, named=True, settles=False)
        # money that went back in between cannot be held any more
        settles = name != "won, then disputed again" and chance.random() < 0.5
        named = chance.random() < 0.5
        assert await ended(market, received, named=named, settles=settles) == calm, received
    assert await broken(market.owner) == {}


@pytest.mark.long
@pytest.mark.parametrize("name", LINES)
async def test_in_every_order_the_events_of_a_payment_end_the_same(
    market: Market, name: str
) -> None:
    """All permutations, the payment named before or not."""
    line = LINES[name]
    calm = await ended(market, line, named=True, settles=False)
    for order in itertools.permutations(line):
        for named in (False, True):
            assert await ended(market, order, named=named, settles=False) == calm, order
    assert await broken(market.owner) == {}

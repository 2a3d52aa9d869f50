"""What a bank takes back counts for as much as it took, wherever the payment stands."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.ids import TaskId
from tests.market import Market, open_market
from tests.servers import TestDatabase


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
    await market.store.value(
        "book_provider_event", str(uuid.uuid4()), "charge.dispute", json.dumps(fact), "{}"
    )


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
    """$40 held: a cent less than that is an operator's case, and no money is called refunded."""
    task = await market.funded("STANDARD")
    payment = await payment_of(market, task)

    await bank(market, "OPENED", payment, taken_cents)
    assert await market.state(task) == "CANCELLED"
    assert await settlement(market) == ("HELD", None)
    await bank(market, "LOST", payment, taken_cents)
    await market.settling.settle_waiting()

    assert (await settlement(market))[0] == ending
    assert await market.escrow_state(task) == ("REFUNDED" if ending == "DONE" else "FUNDED")


@pytest.mark.parametrize(("taken_cents", "ending"), [(4_000, "DONE"), (3_999, "HELD")])
async def test_a_decision_for_the_poster_after_the_bank_s(
    market: Market, taken_cents: int, ending: str
) -> None:
    """The dispute that a chargeback opened is decided when the bank has decided already."""
    task, hustler = await market.accepted("STANDARD")
    await market.commands.start(hustler, task, market.codes.code(task, "START", 1))
    payment = await payment_of(market, task)
    await bank(market, "OPENED", payment, taken_cents)
    assert await market.state(task) == "DISPUTED"
    await bank(market, "LOST", payment, taken_cents)
    dispute = await market.app.fetchval("select id from disputes where task_id = $1", task)
    admin = await market.user("admin")
    await market.app.fetchval(
        "select resolve_dispute($1, $2, 'POSTER', null, 'No work was done.')", admin, dispute
    )
    await market.settling.settle_waiting()

    assert (await settlement(market))[0] == ending


async def test_a_chargeback_on_a_late_payment_stops_its_way_back(market: Market) -> None:
    """The bank has the money: it is not given back a second time."""
    task = await market.task("STANDARD")
    poster = await market.poster_of(task)
    escrow = await market.store.rows("begin_funding", poster, task)
    key = json.loads(escrow[0][0])["id"]
    await market.commands.cancel(poster, task, None)
    await market.store.value("book_funding", key, "pi_late", "{}")
    assert await settlement(market) == ("PENDING", None)

    await bank(market, "OPENED", "pi_late", 4_000)
    await market.settling.settle_waiting()
    assert await settlement(market) == ("HELD", None)

    await bank(market, "LOST", "pi_late", 4_000)
    assert await settlement(market) == ("DONE", "dp_pi_late")

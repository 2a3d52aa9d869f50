"""A bank takes a payment back at the very moment something else happens to its task."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.engine.money.books import broken
from tests.engine.money.raw_commands import PLAN, Lines, ask, provider_event
from tests.engine.money.setup import Case, Ledger, Setup, casts


def fact(case: Case, kind: str) -> dict[str, object]:
    """What the provider says of the bank."""
    assert case.escrow is not None
    return {
        "kind": kind,
        "reference": f"dp_{case.escrow.hex}",
        "payment": f"pi_sim_{case.escrow.hex}",
        "amount_cents": 4_000,
    }


WAITS = """
do $$
begin
    while not exists (
        select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'
    ) loop
        perform pg_sleep(0.005), pg_stat_clear_snapshot();
    end loop;
end;
$$
"""
"""Returns when somebody waits for a row that somebody else holds."""


@pytest.mark.parametrize(
    ("point", "function", "args"),
    [
        ("ACCEPTED", "release_task", (None, PLAN)),
        ("UNCHOSEN", "choose_after_broadcast", ("SWITCH_TO_STANDARD", None)),
    ],
)
async def test_a_chargeback_finds_the_money_that_is_passing_to_a_successor(
    lines: Lines, owner: asyncpg.Connection, point: str, function: str, args: tuple[object, ...]
) -> None:
    """It waits for the task that hands over, and then ends the one that took over."""
    cast = (await casts(owner, 1))[0]
    async with lines.line() as one, lines.line() as two:
        case = await Setup(one, Ledger()).bring(cast, point)
        who = case.hustler if function == "release_task" else case.poster
        async with one.transaction():
            successor = (await ask(one, function, who, case.task, *args)).done().subject_id
            opened = asyncio.create_task(
                provider_event(two, "evt_1", fact(case, "CHARGEBACK_OPENED"))
            )
            await owner.execute(WAITS)

        assert (await opened).done().task_id == successor
    states = await owner.fetch("select state, cancel_reason from tasks where id = $1", successor)
    assert [tuple(row) for row in states] == [("CANCELLED", "CHARGEBACK")]
    assert await owner.fetchval("select state from settlements") == "HELD"
    assert await broken(owner) == {}


async def test_a_bank_that_decides_before_it_asked_still_takes_the_cards_away(
    lines: Lines, owner: asyncpg.Connection
) -> None:
    """The events came the wrong way round: the broadcast is over for everybody who saw it."""
    cast = (await casts(owner, 1))[0]
    async with lines.line() as app:
        case = await Setup(app, Ledger()).bring(cast, "ON_OFFER")
        lost = (await provider_event(app, "evt_2", fact(case, "CHARGEBACK_LOST"))).done()
        late = (await provider_event(app, "evt_1", fact(case, "CHARGEBACK_OPENED"))).done()

    assert [c.broadcast_id for c in lost.closed] == [case.broadcast]
    assert (late.closed, late.events) == ((), ())
    assert await owner.fetchval("select state from escrows") == "REFUNDED"
    assert await broken(owner) == {}


async def test_a_chargeback_told_while_its_payment_is_booked_is_not_missed(
    lines: Lines, owner: asyncpg.Connection
) -> None:
    """Neither sees what the other writes: so the booking waits for the name, and looks again."""
    cast = (await casts(owner, 1))[0]
    async with lines.line() as one, lines.line() as two:
        case = await Setup(one, Ledger()).bring(cast, "INTENDED")
        received = fact(case, "CHARGEBACK_OPENED")
        async with one.transaction():
            (await provider_event(one, "evt_1", received)).done()
            funded = asyncio.create_task(
                ask(two, "book_funding", case.escrow, received["payment"], PLAN)
            )
            await owner.execute(WAITS)
        (await funded).done()

    assert await owner.fetchval("select state from tasks") == "CANCELLED"
    assert await owner.fetchval("select state from settlements") == "HELD"
    assert await broken(owner) == {}

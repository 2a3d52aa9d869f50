"""The lifecycles exist once in SQL and once in Python, and the page is drawn from them."""

from engine.kernel import lifecycle
from tests.support.market import Market
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "lifecycle.md"


async def test_the_step_table_equals_its_sql_twin(market: Market) -> None:
    """Row by row, guards and actors included."""
    rows = [
        (*row[:4], tuple(row["actors"]), row["guard"])
        for row in await market.app.fetch(
            "select machine, event, from_state, to_state, actors, guard from lifecycle"
        )
    ]
    stored = {lifecycle.Step(*row) for row in rows}
    assert stored == set(lifecycle.STEPS)
    assert len(rows) == len(lifecycle.STEPS)


async def test_the_states_are_those_of_the_tables(market: Market) -> None:
    """Each machine's states are exactly what the CHECK of its table admits."""
    tables = {
        "task": "tasks",
        "escrow": "escrows",
        "proof": "proofs",
        "dispute": "disputes",
        "settlement": "settlements",
        "proposal": "price_proposals",
    }
    for machine in lifecycle.MACHINES:
        steps = lifecycle.steps_of(machine)
        states = {s.from_state for s in steps} | {s.to_state for s in steps}
        check = await market.app.fetchval(
            "select pg_get_constraintdef(oid) from pg_constraint where conname = $1",
            f"{tables[machine]}_state",
        )
        assert states == set(check.split("'")[1::2]), machine


def test_no_step_leaves_a_terminal_state() -> None:
    """Ended is ended."""
    assert lifecycle.terminal_states("task") == {"COMPLETED", "CANCELLED", "EXPIRED"}
    assert lifecycle.terminal_states("escrow") == {
        "RELEASED",
        "REFUNDED",
        "REFUND_PARTIAL",
        "CANCELLED",
    }


def test_the_page_is_drawn_from_the_table() -> None:
    """docs/lifecycle.md shows what the code does; `python -m engine.kernel.lifecycle` draws it anew."""
    assert PAGE.read_text().endswith(lifecycle.markdown())

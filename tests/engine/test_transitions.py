"""The lifecycle exists once in SQL and once in Python, and both are the same."""

from engine.tasks import transitions
from tests.market import Market


async def test_the_step_table_equals_its_sql_twin(market: Market) -> None:
    """Row by row."""
    rows = await market.app.fetch(
        "select event, from_state, to_state, actor from task_transition_rules"
    )
    assert {transitions.Step(*row) for row in rows} == transitions.STEPS


def test_no_step_leaves_a_terminal_state() -> None:
    """Ended is ended."""
    assert not {s for s in transitions.STEPS if s.from_state in transitions.TERMINAL}

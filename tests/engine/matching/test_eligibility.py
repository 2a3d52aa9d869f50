"""One rule three times: the SQL expression, its clauses, and their pure twin."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.matching.eligibility import HustlerGate, TaskGate, eligibility_clauses

ANN, BEN = UUID(int=1), UUID(int=2)
trades = st.sampled_from(["plumber", "electrician", "Plumber", ""])
tasks = st.builds(
    TaskGate,
    poster_id=st.sampled_from([ANN, BEN]),
    required_trade=st.none() | trades,
    required_trust_tier=st.integers(1, 4),
    insurance_required=st.booleans(),
    background_check_required=st.booleans(),
)
hustlers = st.builds(
    HustlerGate,
    user_id=st.just(ANN),
    role=st.sampled_from(["poster", "hustler", "dual", "admin"]),
    account_status=st.sampled_from(["ACTIVE", "PAUSED", "SUSPENDED"]),
    trust_tier=st.integers(1, 4),
    verified_trades=st.frozensets(trades, max_size=3),
    insurance_valid=st.booleans(),
    background_check_valid=st.booleans(),
)
ABLE = HustlerGate(ANN, "hustler", "ACTIVE", 4, frozenset({"plumber"}), True, True)
HARD = TaskGate(BEN, "plumber", 4, True, True)


@pytest.fixture(scope="session")
async def connection(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection as the application."""
    opened = await asyncpg.connect(database_dsn)
    yield opened
    await opened.close()


ROWS = """
from
    jsonb_populate_record(null::tasks, $1) as t,
    jsonb_populate_record(null::users, $2) as u,
    jsonb_populate_record(null::hustler_profiles, $3) as p
"""


async def sql_gate(connection: Any, task: TaskGate, hustler: HustlerGate) -> bool:
    """What `eligible` says of rows that exist nowhere."""
    passed: bool = await connection.fetchval(
        f"select eligible(t, u, p) {ROWS}", *map(json.dumps, _rows(task, hustler))
    )
    return passed


async def sql_clauses(connection: Any, task: TaskGate, hustler: HustlerGate) -> dict[str, bool]:
    """What each clause says of them."""
    rows = await connection.fetch(
        f"select c.clause, c.ok {ROWS}, eligibility_clauses(t, u, p) as c",
        *map(json.dumps, _rows(task, hustler)),
    )
    return {row["clause"]: row["ok"] for row in rows}


SHORT = {
    "role": replace(ABLE, role="poster"),
    "account": replace(ABLE, account_status="PAUSED"),
    "not the own task": replace(ABLE, user_id=BEN),
    "trust tier": replace(ABLE, trust_tier=3),
    "trade": replace(ABLE, verified_trades=frozenset({"hvac"})),
    "insurance": replace(ABLE, insurance_valid=False),
    "background check": replace(ABLE, background_check_valid=False),
}
"""Who fails HARD by one clause alone."""


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(task=tasks | st.just(HARD), hustler=hustlers | st.sampled_from([ABLE, *SHORT.values()]))
async def test_the_gate_its_clauses_and_their_twin_agree(
    connection: Any, task: TaskGate, hustler: HustlerGate
) -> None:
    """Clause by clause, for any task and any hustler."""
    clauses = await sql_clauses(connection, task, hustler)
    assert clauses == eligibility_clauses(task, hustler)
    assert await sql_gate(connection, task, hustler) is all(clauses.values())


@pytest.mark.parametrize("clause", SHORT)
async def test_each_clause_alone_keeps_a_hustler_out(connection: Any, clause: str) -> None:
    """All must hold; there is no weighing. Whoever adds one adds here who fails it alone."""
    assert SHORT.keys() == eligibility_clauses(HARD, ABLE).keys()
    for hustler, out in ((ABLE, set()), (SHORT[clause], {clause})):
        twin = eligibility_clauses(HARD, hustler)
        assert {name for name, ok in twin.items() if not ok} == out
        assert await sql_clauses(connection, HARD, hustler) == twin
        assert await sql_gate(connection, HARD, hustler) is (not out)


async def test_a_clause_says_what_is_needed_and_what_is_there(connection: Any) -> None:
    """In words for an admin; needed is null where the task asks for nothing."""
    rows = await connection.fetch(
        f"select c.clause, c.needed, c.has {ROWS}, eligibility_clauses(t, u, p) as c",
        *map(json.dumps, _rows(replace(HARD, insurance_required=False), SHORT["trust tier"])),
    )
    assert [tuple(row) for row in rows] == [
        ("role", "one that may work", "hustler"),
        ("account", "ACTIVE", "ACTIVE"),
        ("not the own task", "another's", "another's"),
        ("trust tier", "4", "3"),
        ("trade", "plumber", "plumber"),
        ("insurance", None, "valid"),
        ("background check", "valid", "valid"),
    ]


async def test_an_accept_asks_the_same_rule_by_id(connection: Any) -> None:
    """Unknown ids are not eligible."""
    assert await connection.fetchval("select eligible($1::uuid, $2::uuid)", ANN, BEN) is False


def _rows(task: TaskGate, hustler: HustlerGate) -> tuple[dict[str, object], ...]:
    return (
        {
            "poster_id": str(task.poster_id),
            "required_trade": task.required_trade,
            "required_trust_tier": task.required_trust_tier,
            "insurance_required": task.insurance_required,
            "background_check_required": task.background_check_required,
        },
        {
            "id": str(hustler.user_id),
            "role": hustler.role,
            "account_status": hustler.account_status,
            "trust_tier": hustler.trust_tier,
        },
        {
            "verified_trades": sorted(hustler.verified_trades),
            "insurance_valid": hustler.insurance_valid,
            "background_check_valid": hustler.background_check_valid,
        },
    )

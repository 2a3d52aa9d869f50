"""One rule in two languages: the SQL gate and its pure twin."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.matching.eligibility import HustlerGate, TaskGate, is_eligible

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


async def sql_gate(connection: Any, task: TaskGate, hustler: HustlerGate) -> bool:
    """What `eligible` says of rows that exist nowhere."""
    passed: bool = await connection.fetchval(
        """
        select eligible(t, u, p)
        from
            jsonb_populate_record(null::tasks, $1) as t,
            jsonb_populate_record(null::users, $2) as u,
            jsonb_populate_record(null::hustler_profiles, $3) as p
        """,
        *map(json.dumps, _rows(task, hustler)),
    )
    return passed


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(task=tasks | st.just(HARD), hustler=hustlers | st.just(ABLE))
async def test_the_sql_gate_and_its_twin_agree(
    connection: Any, task: TaskGate, hustler: HustlerGate
) -> None:
    """For any task and any hustler."""
    passed = await sql_gate(connection, task, hustler)
    assert passed is is_eligible(task, hustler)


@pytest.mark.parametrize(
    "short",
    [
        HustlerGate(BEN, "hustler", "ACTIVE", 4, frozenset({"plumber"}), True, True),
        HustlerGate(ANN, "poster", "ACTIVE", 4, frozenset({"plumber"}), True, True),
        HustlerGate(ANN, "hustler", "PAUSED", 4, frozenset({"plumber"}), True, True),
        HustlerGate(ANN, "hustler", "ACTIVE", 3, frozenset({"plumber"}), True, True),
        HustlerGate(ANN, "hustler", "ACTIVE", 4, frozenset({"hvac"}), True, True),
        HustlerGate(ANN, "hustler", "ACTIVE", 4, frozenset({"plumber"}), False, True),
        HustlerGate(ANN, "hustler", "ACTIVE", 4, frozenset({"plumber"}), True, False),
    ],
)
async def test_each_demand_alone_keeps_a_hustler_out(connection: Any, short: HustlerGate) -> None:
    """All must hold, in both languages; there is no weighing."""
    assert is_eligible(HARD, ABLE)
    assert await sql_gate(connection, HARD, ABLE)
    assert not is_eligible(HARD, short)
    assert not await sql_gate(connection, HARD, short)


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

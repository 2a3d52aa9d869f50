"""Every machine moves along its lifecycle alone: each other pair of states is refused.

From every state that the town has a row in, by a plain UPDATE of the state, as the service and as
the owner. The task's table stands in test_invariants.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from engine.kernel import lifecycle
from engine.kernel.lifecycle import Machine
from tests.sql.rules.rule_checker import ROLES, Identity, Role
from tests.sql.rules.rule_env import RuleEnv


class Table(NamedTuple):
    """Where a machine lives, a row in each state, and the codes that refuse its steps."""

    name: str
    rows: dict[str, str]
    identities: frozenset[Identity]


ESCROW = frozenset(
    {("HX010", "ESCROW-TRANSITION"), ("HX002", "ESCROW-TERMINAL"), ("HX201", "INV-2")}
)

TABLES: dict[Machine, Table] = {
    "escrow": Table(
        "escrows",
        {
            "PENDING": "draft_escrow",
            "FUNDED": "live_escrow",
            "LOCKED_DISPUTE": "disputed_escrow",
            "RELEASED": "paid_escrow",
            "REFUNDED": "refunded_escrow",
            "REFUND_PARTIAL": "split_escrow",
            "CANCELLED": "void_escrow",
        },
        ESCROW,
    ),
    "proof": Table(
        "proofs",
        {
            "PENDING": "drafted_proof",
            "SUBMITTED": "submitted_proof",
            "ACCEPTED": "paid_proof",
            "REJECTED": "rejected_proof",
            "EXPIRED": "lapsed_proof",
        },
        frozenset({("HX010", "PROOF-TRANSITION")}),
    ),
    "dispute": Table(
        "disputes",
        {
            "OPEN": "disputed_dispute",
            "EVIDENCE_REQUESTED": "asked_dispute",
            "ESCALATED": "escalated_dispute",
            "RESOLVED": "split_dispute",
        },
        frozenset({("HX010", "DISPUTE-TRANSITION")}),
    ),
    "settlement": Table(
        "settlements",
        {
            "PENDING": "completed_settlement",
            "HELD": "stopped_settlement",
            "DONE": "paid_settlement",
        },
        frozenset({("HX010", "ESCROW-TRANSITION")}),
    ),
    "proposal": Table(
        "price_proposals",
        {
            "OPEN": "proposed_proposal",
            "AGREED": "agreed_proposal",
            "APPLIED": "applied_proposal",
            "DECLINED": "declined_proposal",
            "LAPSED": "withdrawn_proposal",
        },
        frozenset({("HX010", "PROPOSAL")}),
    ),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("machine", TABLES)
async def test_a_machine_moves_only_along_its_lifecycle(
    rule_env: RuleEnv, machine: Machine, role: Role
) -> None:
    """Each pair that no row allows, and each step out of an end."""
    checker, table = rule_env[role], TABLES[machine]
    steps = {(s.from_state, s.to_state) for s in lifecycle.steps_of(machine)}
    states = {state for step in steps for state in step}
    assert set(table.rows) == states, "a row in every state"
    for start, row in table.rows.items():
        at = await checker.value(f"select state from {table.name} where id = {{{row}}}")
        assert at == start, row
        for goal in states - {start}:
            if (start, goal) not in steps:
                await checker.refuses_one_of(
                    table.identities,
                    f"update {table.name} set state = '{goal}' where id = {{{row}}}",
                )


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("machine", TABLES)
async def test_the_lifecycle_s_steps_are_those_that_the_guards_look_up(
    rule_env: RuleEnv, machine: Machine, role: Role
) -> None:
    """The table in SQL allows what the table in Python does, and nothing else."""
    checker = rule_env[role]
    states = sorted(TABLES[machine].rows)
    for start in states:
        for goal in states:
            allowed = any(
                (s.from_state, s.to_state) == (start, goal) for s in lifecycle.steps_of(machine)
            )
            got = await checker.value("select lifecycle_allows($1, $2, $3)", machine, start, goal)
            assert got is allowed, (start, goal)

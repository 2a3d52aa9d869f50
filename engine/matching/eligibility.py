"""The eligibility gate in Python: whether a hustler may do a task; a gate, never a factor.

Not imported by the service. The SQL function `eligible(tasks, users, hustler_profiles)` decides,
and `eligibility_clauses` says why; this is the pure twin that architecture §13.3 asks for beside
them, held equal clause by clause by a property test.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

MAY_WORK = frozenset({"hustler", "dual"})
"""Roles that may take tasks."""


@dataclass(frozen=True, slots=True)
class TaskGate:
    """The requirements of a task that eligibility is checked against."""

    poster_id: UUID
    required_trade: str | None = None
    required_trust_tier: int = 1
    insurance_required: bool = False
    background_check_required: bool = False


@dataclass(frozen=True, slots=True)
class HustlerGate:
    """The verified qualifications of a hustler that eligibility is checked against."""

    user_id: UUID
    role: str
    account_status: str = "ACTIVE"
    trust_tier: int = 1
    verified_trades: frozenset[str] = frozenset()
    insurance_valid: bool = False
    background_check_valid: bool = False


def eligibility_clauses(task: TaskGate, hustler: HustlerGate) -> dict[str, bool]:
    """Returns whether each clause holds, by the names of `eligibility_clauses` in SQL."""
    return {
        "role": hustler.role in MAY_WORK,
        "account": hustler.account_status == "ACTIVE",
        "not the own task": hustler.user_id != task.poster_id,
        "trust tier": hustler.trust_tier >= task.required_trust_tier,
        "trade": task.required_trade is None or task.required_trade in hustler.verified_trades,
        "insurance": hustler.insurance_valid or not task.insurance_required,
        "background check": hustler.background_check_valid or not task.background_check_required,
    }

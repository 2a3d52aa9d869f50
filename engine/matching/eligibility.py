"""Whether a hustler may do a task at all: a gate, never a factor; not imported by the service.

The SQL function `eligible(tasks, users, hustler_profiles)` decides; this is the pure twin that
architecture §13.3 asks for beside it, held equal by a property test.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

MAY_WORK = frozenset({"hustler", "dual"})
"""Roles that may take tasks."""


@dataclass(frozen=True, slots=True)
class TaskGate:
    """What a task demands."""

    poster_id: UUID
    required_trade: str | None = None
    required_trust_tier: int | None = None
    insurance_required: bool = False
    background_check_required: bool = False


@dataclass(frozen=True, slots=True)
class HustlerGate:
    """What a hustler has shown."""

    user_id: UUID
    role: str
    account_status: str = "ACTIVE"
    trust_tier: int = 1
    verified_trades: frozenset[str] = frozenset()
    insurance_valid: bool = False
    background_check_valid: bool = False


def is_eligible(task: TaskGate, hustler: HustlerGate) -> bool:
    """True when every demand of the task is met and the hustler may work and isn't its poster."""
    return (
        hustler.role in MAY_WORK
        and hustler.account_status == "ACTIVE"
        and hustler.user_id != task.poster_id
        and hustler.trust_tier >= (task.required_trust_tier or 1)
        and (task.required_trade is None or task.required_trade in hustler.verified_trades)
        and (hustler.insurance_valid or not task.insurance_required)
        and (hustler.background_check_valid or not task.background_check_required)
    )

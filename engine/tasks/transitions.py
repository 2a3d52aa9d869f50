"""The legal steps of a task. Twin of the SQL table `task_transition_rules` (design §2, Task)."""

from __future__ import annotations

from typing import Literal, NamedTuple

from engine.views import TaskState

Actor = Literal["hustler", "poster", "timer"]


class Step(NamedTuple):
    """One row: `event` leads from one state to another, by one kind of actor."""

    event: str
    from_state: TaskState
    to_state: TaskState
    actor: Actor


STEPS: frozenset[Step] = frozenset(
    {
        Step("accept", "OPEN", "ACCEPTED", "hustler"),
        Step("accept", "MATCHING", "ACCEPTED", "hustler"),
        Step("start", "ACCEPTED", "WORKING", "hustler"),
        Step("submit_proof", "ACCEPTED", "PROOF_SUBMITTED", "hustler"),
        Step("submit_proof", "WORKING", "PROOF_SUBMITTED", "hustler"),
        Step("approve", "PROOF_SUBMITTED", "COMPLETED", "poster"),
        Step("release", "ACCEPTED", "CANCELLED", "hustler"),
        Step("cancel", "OPEN", "CANCELLED", "poster"),
        Step("cancel", "MATCHING", "CANCELLED", "poster"),
        Step("cancel", "ACCEPTED", "CANCELLED", "poster"),
        Step("expire", "OPEN", "EXPIRED", "timer"),
        Step("expire", "MATCHING", "EXPIRED", "timer"),
    }
)

TERMINAL: frozenset[TaskState] = frozenset({"COMPLETED", "CANCELLED", "EXPIRED"})

"""The admin side of the engine: one object with the admin's reads and commands by subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from engine.admin.queue import AdminQueue
from engine.disputes.admin import DisputeAdmin
from engine.kernel.execution import Execution
from engine.kernel.store import Store
from engine.live.admin import LiveAdmin
from engine.money.admin import MoneyAdmin
from engine.people.admin import PeopleAdmin
from engine.progress.admin import ProgressAdmin
from engine.tasks.admin import TaskAdmin


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin's reads and commands of every subject.

    Each command leaves a row in `admin_actions` with its reason. Each raises HX503 for a caller
    who is no active admin or has a stake in the case, NOT_FOUND for an unknown id, and as
    `Commands` for the rest. No command overrides a rule: triggers check these like any other.
    """

    queue: AdminQueue
    tasks: TaskAdmin
    live: LiveAdmin
    disputes: DisputeAdmin
    money: MoneyAdmin
    people: PeopleAdmin
    progress: ProgressAdmin

    @classmethod
    def open(cls, execution: Execution, store: Store) -> Self:
        """Returns the admin side of every subject, on one execution and one store."""
        return cls(
            queue=AdminQueue(execution, store),
            tasks=TaskAdmin(execution),
            live=LiveAdmin(execution),
            disputes=DisputeAdmin(execution, store),
            money=MoneyAdmin(execution, store),
            people=PeopleAdmin(execution, store),
            progress=ProgressAdmin(execution, store),
        )

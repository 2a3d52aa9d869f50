"""What admins may read and do, by subject."""

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
    """Every subject's admin side.

    Each act leaves a row in `admin_actions`, with its reason. It raises HX503 for who is no active
    admin or has a stake in the case, NOT_FOUND for what is not there, and as `Commands` for the
    rest. Nothing here overrides a rule: triggers judge these commands like any other.
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
        """All of them, on one execution."""
        return cls(
            queue=AdminQueue(execution, store),
            tasks=TaskAdmin(execution),
            live=LiveAdmin(execution),
            disputes=DisputeAdmin(execution, store),
            money=MoneyAdmin(execution, store),
            people=PeopleAdmin(execution, store),
            progress=ProgressAdmin(execution, store),
        )

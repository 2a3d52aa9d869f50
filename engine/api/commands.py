"""The commands of the engine, by subject; each command is one SQL function call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from engine.disputes.commands import DisputeCommands
from engine.kernel.execution import Execution
from engine.kernel.store import Store
from engine.live.broadcast_start import BroadcastStart
from engine.live.commands import LiveCommands
from engine.money.commands import MoneyCommands
from engine.money.provider import PaymentProvider
from engine.people.commands import PeopleCommands
from engine.pricing.commands import PricingCommands
from engine.progress.commands import ProgressCommands
from engine.proofs.commands import ProofCommands
from engine.tasks.codes import TaskCodes
from engine.tasks.commands import TaskCommands


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of every subject.

    Each method raises `engine.kernel.errors.Refusal` when the answer is no, and
    `sql.database.DatabaseAway` when the outcome is unknown: the command may then be repeated,
    for repeating what is done already changes nothing.
    """

    tasks: TaskCommands
    live: LiveCommands
    proofs: ProofCommands
    disputes: DisputeCommands
    pricing: PricingCommands
    money: MoneyCommands
    people: PeopleCommands
    progress: ProgressCommands

    @classmethod
    def open(
        cls,
        execution: Execution,
        store: Store,
        codes: TaskCodes,
        payments: PaymentProvider,
        start: BroadcastStart,
    ) -> Self:
        """Returns the commands of every subject, on one execution."""
        return cls(
            tasks=TaskCommands(execution, codes, start),
            live=LiveCommands(execution, store),
            proofs=ProofCommands(execution, codes),
            disputes=DisputeCommands(execution),
            pricing=PricingCommands(execution),
            money=MoneyCommands(execution, store, payments, start),
            people=PeopleCommands(execution),
            progress=ProgressCommands(execution),
        )

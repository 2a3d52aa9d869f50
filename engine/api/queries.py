"""The reads of the engine, by subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from engine.disputes.queries import DisputeQueries
from engine.events.queries import EventQueries
from engine.kernel.clock import Clock
from engine.kernel.store import Store
from engine.live.queries import LiveQueries
from engine.money.queries import MoneyQueries
from engine.people.queries import PeopleQueries
from engine.pricing.queries import PricingQueries
from engine.progress.queries import ProgressQueries
from engine.proofs.queries import ProofQueries
from engine.tasks.codes import TaskCodes
from engine.tasks.queries import TaskQueries


@dataclass(frozen=True, slots=True)
class Queries:
    """The reads of every subject; each raises NOT_FOUND for what is hidden from the viewer."""

    tasks: TaskQueries
    live: LiveQueries
    proofs: ProofQueries
    disputes: DisputeQueries
    pricing: PricingQueries
    money: MoneyQueries
    people: PeopleQueries
    progress: ProgressQueries
    events: EventQueries
    codes: TaskCodes
    clock: Clock

    @classmethod
    def open(cls, store: Store, codes: TaskCodes) -> Self:
        """Returns the reads of every subject, on one store."""
        return cls(
            tasks=TaskQueries(store, codes),
            live=LiveQueries(store),
            proofs=ProofQueries(store),
            disputes=DisputeQueries(store),
            pricing=PricingQueries(store),
            money=MoneyQueries(store),
            people=PeopleQueries(store),
            progress=ProgressQueries(store),
            events=EventQueries(store, codes),
            codes=codes,
            clock=Clock(store),
        )

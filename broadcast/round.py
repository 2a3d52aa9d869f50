"""One round of evaluation: the broadcasts that are due and the hustlers who are new to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from broadcast.active_broadcast import ActiveBroadcast
from broadcast.pair_inputs import score_inputs
from broadcast.presence_snapshot import Pairs, PresenceSnapshot
from broadcast.wave_store import EligibilityResult
from engine.matching import score as scoring
from engine.matching.score import Floats, ScoreInputs


@dataclass(frozen=True)
class Round:
    """Pairs of `due` broadcasts and hustlers `here`, as they stand at one instant."""

    due: Sequence[ActiveBroadcast]
    here: PresenceSnapshot
    at: datetime
    pairs: Pairs

    @cached_property
    def broadcasts(self) -> list[UUID]:
        """Returns the broadcast of each pair."""
        return [self.due[number].params.id for number in self.pairs.broadcast.tolist()]

    @cached_property
    def hustlers(self) -> list[UUID]:
        """Returns the hustler of each pair."""
        return [self.here.hustler(row) for row in self.pairs.row.tolist()]

    def take(self, rows: NDArray[np.intp]) -> Round:
        """Returns the round with some of its pairs, in this order."""
        return replace(self, pairs=self.pairs.take(rows))

    def score_inputs(self, eligibility: EligibilityResult) -> ScoreInputs:
        """Returns the score's inputs of the pairs, with the database's facts on each."""
        pairs = self.pairs
        return score_inputs(self.due, pairs.broadcast, pairs.place_miles, eligibility, self.at)

    def best_first(self, total: Floats, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Returns these rows in the order of the ranking."""
        price = np.array([b.params.price_cents for b in self.due], np.float64)
        created = np.array([b.params.created_at.timestamp() for b in self.due], np.float64)
        numbers = self.pairs.broadcast[rows]
        order = scoring.ranking(
            total[rows],
            self.pairs.place_miles[rows],
            price[numbers],
            created[numbers],
            self.here.ids[self.pairs.row[rows]],
        )
        return rows[order]

    def record(self, again_at: Floats) -> None:
        """Stores in each broadcast when to ask for its pairs again, in monotonic seconds."""
        for number in np.unique(self.pairs.broadcast).tolist():
            mine = self.pairs.broadcast == number
            rows = self.pairs.row[mine]
            self.due[number].evaluation_cache.record(
                self.here.ids[rows], self.here.generations[rows], again_at[mine]
            )

"""A scoring profile: the components of a score and the weight of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engine.matching.score_inputs import Floats, ScoreInputs

NAMES: Final = ("trust", "distance", "category", "price", "time")
"""The components of every profile; points add in this order."""

Component = Callable[[ScoreInputs], Floats]
"""Returns one component of n pairs; `score` clamps it to 0..1."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The components of a profile in the order of `NAMES`, and their weights, which sum to 1."""

    name: str
    components: tuple[Component, ...]
    trust: float
    distance: float
    category: float
    price: float
    time: float

    def __post_init__(self) -> None:
        """Raises ValueError unless the weights are finite, not negative and sum to exactly 1."""
        weights = self.weights
        if not all(math.isfinite(weight) and weight >= 0.0 for weight in weights):
            raise ValueError(f"profile {self.name}: weights must be finite and not negative")
        if math.fsum(weights) != 1.0:
            raise ValueError(f"profile {self.name}: weights sum to {math.fsum(weights)!r}, not 1")

    @property
    def weights(self) -> tuple[float, ...]:
        """Returns the weights in the order of `NAMES`."""
        return self.trust, self.distance, self.category, self.price, self.time

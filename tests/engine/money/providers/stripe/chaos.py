"""The dial: how unkind the fake Stripe and the net between it and us are. Seeded, so it repeats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random


@dataclass(frozen=True)
class Dial:
    """Each a probability from 0 to 1, unless it says something else."""

    error_before: float = 0.0
    """A call is answered 500 and does nothing."""
    error_kept: float = 0.0
    """The same, and the 500 is what the idempotency key is answered with from then on."""
    lost_answer: float = 0.0
    """A call takes effect, and the connection breaks before its answer."""
    dropped: float = 0.0
    """An event is never delivered."""
    delayed: float = 0.0
    """A delivery waits for one more round of the post."""
    copies_max: int = 1
    """An event is delivered once, or up to so many times."""
    shuffled: bool = False
    """The deliveries of a round come in any order."""


KIND = Dial()
ROUGH = Dial(
    error_before=0.05,
    lost_answer=0.1,
    dropped=0.05,
    delayed=0.3,
    copies_max=5,
    shuffled=True,
)


class Chaos:
    """The dial with its dice."""

    def __init__(self, seed: int, dial: Dial = KIND) -> None:
        self.random = Random(seed)
        self.dial = dial

    def turn(self, **settings: float) -> None:
        """Set some of the dial's marks."""
        self.dial = replace(self.dial, **settings)  # type: ignore[arg-type]

    def happens(self, probability: float) -> bool:
        """One throw of the dice; none where nothing can happen."""
        return probability > 0 and self.random.random() < probability

    def copies(self) -> int:
        """How often an event is delivered."""
        if self.happens(self.dial.dropped):
            return 0
        return self.random.randint(1, self.dial.copies_max)

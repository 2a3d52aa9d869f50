"""The time scale of a run: simulated people live `speed` times as fast as life.

Scaled: human delays, working time, arrivals of tasks, trace time, and driving, the last only up to
`MAX_DRIVING` (the service refuses positions that imply an impossible speed, as it should).
Not scaled, because it is the service's own clock: radius steps every 60 s, broadcasts of 10 min,
cool-downs and pauses, the 5 min between two switches to LIVE.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

MAX_DRIVING = 3.0
"""14 m/s on an arterial times 3 is 151 km/h; from 160 km/h on a fix is suspect (design §4)."""


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Converts seconds of life to seconds of the run."""

    speed: float = 1.0

    @property
    def driving(self) -> float:
        """Returns how many times faster than life cars move."""
        return min(self.speed, MAX_DRIVING)

    async def people(self, life_s: float) -> None:
        """Sleeps as long as a person takes for `life_s` of life."""
        await asyncio.sleep(life_s / self.speed)

    async def drive(self, life_s: float) -> None:
        """Sleeps as long as a drive of `life_s` takes."""
        await asyncio.sleep(life_s / self.driving)


def human_s(rng: Random, median_s: float, spread: float = 0.6) -> float:
    """Returns a random human delay: log-normal, so most are short and some very long."""
    return median_s * rng.lognormvariate(0.0, spread)

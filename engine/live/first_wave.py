"""The port that finds a broadcast's first candidates before the transaction that starts it."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from msgspec import Struct

from engine.kernel.broadcast_params import StartingTask


class FirstWaveCandidates(Struct, frozen=True):
    """Whom a new broadcast is to be offered to at once, best first; the columns are parallel.

    Advice alone: the transaction judges each of them by the rules of every wave, and nobody where
    the task has another version by then.
    """

    version: int
    open_offers_max: int
    """Open offers that a hustler may hold."""
    hustlers: list[UUID]
    exact_miles: list[float]
    """Between exact places."""
    place_miles: list[float]
    """To the rounded place, as the card shows it."""
    scores: list[float]


class FirstWave(Protocol):
    """Finds the candidates of a first wave (`broadcast.first_wave`)."""

    async def candidates(
        self, starting: StartingTask, radius_miles: float
    ) -> FirstWaveCandidates | None:
        """Returns who is within the first radius and can be offered the task; None: nobody.

        May raise whatever a server that is away makes it raise.
        """

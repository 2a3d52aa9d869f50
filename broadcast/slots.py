"""Which of the running broadcasts are this process's: leases of slots, or all, or none.

Leases divide work and decide nothing: two owners of a slot insert no offer twice, and a process that
stood still learns with its next renewal what it has lost.
"""

from __future__ import annotations

from typing import Final, Literal

SLOTS: Final = 16

Runs = Literal["ALL", "SHARE", "NONE"]
"""All broadcasts, as many as fall to each of several broadcasters, or none."""


class Slots:
    """The slots held; with `ALL` every one, without a lease."""

    def __init__(self, runs: Runs) -> None:
        self._leased = runs == "SHARE"
        self._held: frozenset[int] = frozenset(range(SLOTS) if runs == "ALL" else ())

    def __len__(self) -> int:
        return len(self._held)

    def has(self, partition: int) -> bool:
        """Returns whether broadcasts of a partition, 0–63, are run here."""
        return partition % SLOTS in self._held

    @property
    def asked_for(self) -> list[int] | None:
        """The slots to name where the active set is read; None for all."""
        return sorted(self._held) if self._leased else None

    def hold(self, slots: list[int]) -> bool:
        """Sets the slots of a renewed lease; returns whether one has come that was not held."""
        held, self._held = self._held, frozenset(slots)
        return not self._held <= held

"""Cards that were handed to delivery and that no socket has taken yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from uuid import UUID

from broadcast.limits import WaveLimits

Pair = tuple[UUID, UUID]
"""Broadcast and hustler."""


class UnsentCards:
    """Whose cards wait: kept from a card's delivery until it is taken, or comes with a snapshot."""

    def __init__(self, limits: WaveLimits) -> None:
        self._limits = limits
        self._delivered_at_s: dict[Pair, float] = {}
        self._order: deque[tuple[float, Pair]] = deque()
        self._suspects: set[UUID] = set()

    def delivered(self, pairs: Iterable[Pair], now_s: float) -> None:
        """Notes cards that were handed to delivery at a monotonic second."""
        for pair in pairs:
            if pair not in self._delivered_at_s:
                self._delivered_at_s[pair] = now_s
                self._order.append((now_s + self._limits.resend_after_s, pair))

    def suspect(self, broadcast: UUID, hustler: UUID) -> None:
        """Notes an offer that was found in the database: its card may never have been delivered."""
        if (broadcast, hustler) not in self._delivered_at_s:
            self._suspects.add(hustler)

    def taken(self, pairs: Iterable[Pair]) -> None:
        """Forgets cards that reached a socket."""
        for pair in pairs:
            self._delivered_at_s.pop(pair, None)

    def take_due(self, connected: Collection[UUID], now_s: float) -> set[UUID]:
        """Returns hustlers on a socket whose cards have waited too long, and looks at them again later.

        A card that waits longer still is left to the snapshot of its hustler's next session.
        """
        due = {hustler for hustler in self._suspects if hustler in connected}
        self._suspects.clear()
        again: list[tuple[float, Pair]] = []
        while self._order and self._order[0][0] <= now_s:
            _, pair = self._order.popleft()
            delivered_at_s = self._delivered_at_s.get(pair)
            if delivered_at_s is None:
                continue
            if now_s - delivered_at_s >= self._limits.resend_until_s:
                del self._delivered_at_s[pair]
                continue
            if pair[1] in connected:
                due.add(pair[1])
            again.append((now_s + self._limits.resend_after_s, pair))
        self._order.extend(again)
        return due

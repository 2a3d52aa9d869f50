"""Cards that were handed to delivery, or found in the database, and that no socket has taken yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from broadcast.limits import WaveLimits
from broadcast.loop_yield import LoopYield

Pair = tuple[UUID, UUID]
"""Broadcast and hustler."""

UNKNOWN_LOOKS: Final = 3
"""The first may come before the late insert has ended, the second before its offers are old enough."""


class UnsentCards:
    """Whose cards wait: kept from a card's delivery until it is taken, or comes with a snapshot.

    Times are monotonic seconds.
    """

    def __init__(self, limits: WaveLimits) -> None:
        self._limits = limits
        self._delivered_at_s: dict[Pair, float] = {}
        self._order: deque[tuple[float, Pair]] = deque()
        self._suspects: deque[tuple[float, UUID, int]] = deque()

    def delivered(self, pairs: Iterable[Pair], now_s: float) -> None:
        """Notes cards that were handed to delivery."""
        for pair in pairs:
            if pair not in self._delivered_at_s:
                self._delivered_at_s[pair] = now_s
                self._order.append((now_s + self._limits.resend_after_s, pair))

    def suspect(self, hustlers: Iterable[UUID], now_s: float, looks: int = 1) -> None:
        """Notes hustlers with offers in the database whose cards may never have been delivered.

        Each is looked at `looks` times, `resend_after_s` apart: `UNKNOWN_LOOKS` after a call without
        an answer, which a server that stood still may carry out when it goes on.
        """
        due_s = now_s + self._limits.resend_after_s
        self._suspects.extend((due_s, hustler, looks) for hustler in hustlers)

    def taken(self, pairs: Iterable[Pair]) -> None:
        """Forgets cards that reached a socket."""
        for pair in pairs:
            self._delivered_at_s.pop(pair, None)

    async def take_due(
        self, connected: Collection[UUID], now_s: float, loop_yield: LoopYield
    ) -> set[UUID]:
        """Returns hustlers on a socket whose cards have waited too long; they are looked at again.

        Whoever has no socket gets the card with the snapshot of the next session, and so does
        everybody after `resend_until_s`.
        """
        due: set[UUID] = set()
        again: list[Pair] = []
        while self._suspects and self._suspects[0][0] <= now_s:
            _, hustler, looks = self._suspects.popleft()
            if hustler in connected:
                due.add(hustler)
                if looks > 1:
                    self.suspect([hustler], now_s, looks - 1)
        while self._order and self._order[0][0] <= now_s:
            _, pair = self._order.popleft()
            delivered_at_s = self._delivered_at_s.get(pair)
            if delivered_at_s is None:
                continue
            if pair[1] in connected and now_s - delivered_at_s < self._limits.resend_until_s:
                due.add(pair[1])
                again.append(pair)
            else:
                del self._delivered_at_s[pair]
            await loop_yield.maybe_yield()
        self._order.extend((now_s + self._limits.resend_after_s, pair) for pair in again)
        return due

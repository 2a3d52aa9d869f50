"""Broadcasts that have ended lately: a card of theirs that comes late is dropped."""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from gateway.contract import limits


class EndedBroadcasts:
    """Remembers each ended broadcast for 15 minutes. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._until: OrderedDict[UUID, float] = OrderedDict()

    def __contains__(self, broadcast_id: object) -> bool:
        return broadcast_id in self._until

    def add(self, broadcast_id: UUID, now: float) -> bool:
        """Remembers it; False when it was known to have ended."""
        self.forget(now)
        known = broadcast_id in self._until
        self._until[broadcast_id] = now + limits.CLOSED_REMEMBERED_S
        self._until.move_to_end(broadcast_id)
        return not known

    def forget(self, now: float) -> None:
        """Drops what ended long ago: no card is on its way for that long."""
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)

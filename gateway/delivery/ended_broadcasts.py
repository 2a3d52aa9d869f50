"""The set of broadcasts that ended lately, by which a late offer card is dropped."""

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
        """Remembers the broadcast as ended at `now`; returns False when it was known already."""
        self.forget(now)
        known = broadcast_id in self._until
        self._until[broadcast_id] = now + limits.CLOSED_REMEMBERED_S
        self._until.move_to_end(broadcast_id)
        return not known

    def forget(self, now: float) -> None:
        """Drops broadcasts that ended over 15 minutes ago: no card is under way for that long."""
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)

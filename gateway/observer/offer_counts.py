"""How many hustlers the broadcasts on the map were offered to."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final
from uuid import UUID

from engine.kernel.store import Store

COUNTED_AT_ONCE: Final = 200
"""Broadcasts in one query: with a hundred offers each some 10 ms of the database."""


class OfferCounts:
    """Counts each broadcast when it is first shown; then the running ones in turn, 200 a round."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[UUID, int] = {}
        """The one that was counted longest ago first."""
        self.running = 0
        """Offers of all running broadcasts that are shown."""

    def of(self, broadcast_id: UUID | None) -> int:
        """Returns the offers of a broadcast as last counted; 0 where it is not shown."""
        return 0 if broadcast_id is None else self._known.get(broadcast_id, 0)

    async def read_on(self, shown: Mapping[UUID, bool]) -> None:
        """Counts for the broadcasts shown now; the value says whether one is running."""
        self._known = {id_: count for id_, count in self._known.items() if id_ in shown}
        again = list(islice((id_ for id_ in self._known if shown[id_]), COUNTED_AT_ONCE))
        due = [id_ for id_ in shown if id_ not in self._known] + again
        for start in range(0, len(due), COUNTED_AT_ONCE):
            part = due[start : start + COUNTED_AT_ONCE]
            rows = await self._store.rows("city_offers", part)
            found = {row["broadcast_id"]: row["hustlers_notified"] for row in rows}
            for id_ in part:
                self._known.pop(id_, None)
                self._known[id_] = found.get(id_, 0)
        self.running = sum(count for id_, count in self._known.items() if shown[id_])

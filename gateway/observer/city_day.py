"""The figures of a day: what its ended broadcasts add up to, each read once."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from msgspec import Struct

from engine.kernel.store import Store

SETTLED: Final = timedelta(seconds=10)
"""A broadcast that ended so long ago is seen: its transaction, of at most 8 s, is over."""
ENDED_AT_ONCE: Final = 1_000
"""Ended broadcasts in one query: with a hundred offers each some 100 ms of the database."""
_FIRST_ID: Final = UUID(int=0)


class EndedBroadcast(Struct, frozen=True):
    """How a broadcast went; seconds, null where nothing happened."""

    broadcast_id: UUID
    ended_at: datetime
    state: str
    accept_s: float | None
    first_card_s: float | None
    human_s: float | None
    hustlers_notified: int


class CityDay:
    """Sums and medians over the ended broadcasts that were started today (UTC).

    The first look at a day reads what it had so far, every later one what has ended since.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begin(datetime.min.replace(tzinfo=UTC))

    def _begin(self, day: datetime) -> None:
        self._day = day
        self._read_to = day
        self._recent: dict[UUID, datetime] = {}
        self.offers = 0
        self.accepted = 0
        self.no_accept = 0
        self._accept_s, self._first_card_s, self._human_s = array("d"), array("d"), array("d")

    async def read_on(self, at: datetime) -> None:
        """Adds what has ended up to `at`; begins anew on another day."""
        day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if day != self._day:
            self._begin(day)
        behind, last_id = max(day, self._read_to - SETTLED), _FIRST_ID
        while True:
            rows = await self._store.rows_as(
                EndedBroadcast,
                "city_ended",
                day,
                behind,
                last_id,
                list(self._recent),
                ENDED_AT_ONCE,
            )
            for row in rows:
                self._add(row)
            if len(rows) < ENDED_AT_ONCE:
                break
            behind, last_id = rows[-1].ended_at, rows[-1].broadcast_id
        self._read_to = max(at, self._read_to)
        settled = self._read_to - SETTLED
        self._recent = {id_: ended for id_, ended in self._recent.items() if ended >= settled}

    def _add(self, row: EndedBroadcast) -> None:
        self._recent[row.broadcast_id] = row.ended_at
        self.offers += row.hustlers_notified
        self.no_accept += row.state in ("EXPIRED", "CANCELLED")
        for seconds, of_all in (
            (row.accept_s, self._accept_s),
            (row.first_card_s, self._first_card_s),
            (row.human_s, self._human_s),
        ):
            if seconds is not None:
                of_all.append(seconds)
        self.accepted = len(self._accept_s)

    def time_to_accept_s(self, share: float) -> float | None:
        """Returns this quantile of the seconds from the start to the accept; None without any."""
        return _quantile(self._accept_s, share)

    def median_first_card_s(self) -> float | None:
        """Returns the median of the seconds from the start to the first card; None without any."""
        return _quantile(self._first_card_s, 0.5)

    def median_human_s(self) -> float | None:
        """Returns the median of the seconds from the card to the accept; None without any."""
        return _quantile(self._human_s, 0.5)


def _quantile(seconds: Sequence[float], share: float) -> float | None:
    return float(np.quantile(np.asarray(seconds), share)) if len(seconds) else None

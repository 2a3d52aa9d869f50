"""Records in the database which cards reached a socket, and when."""

from __future__ import annotations

from itertools import islice
from typing import Final

from broadcast.ports import Delivery
from broadcast.unsent_cards import Pair, UnsentCards
from broadcast.wave_store import WaveStore

REPORTS_PER_CALL: Final = 2_000


class SentReports:
    """Cards taken by sockets, kept until the database has noted them."""

    def __init__(self, store: WaveStore, delivery: Delivery, unsent: UnsentCards) -> None:
        self._store = store
        self._delivery = delivery
        self._unsent = unsent
        self._waiting: dict[Pair, float] = {}

    async def record(self) -> None:
        """Writes what sockets took; raises what `sql.database` raises, and loses no report then."""
        taken = self._delivery.taken()
        self._unsent.taken(taken)
        for pair, at_s in taken.items():
            self._waiting.setdefault(pair, at_s)
        while self._waiting:
            some = dict(islice(self._waiting.items(), REPORTS_PER_CALL))
            await self._store.sent(some)
            for pair in some:
                del self._waiting[pair]

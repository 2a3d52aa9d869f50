"""What one broadcaster remembers; none of it is authoritative, and a new process finds it all again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np

from broadcast.active_broadcast import ActiveBroadcast
from broadcast.due import DueInstants
from broadcast.hustler_columns import Ids, Vocabulary
from broadcast.market_prices import MarketPrices
from broadcast.offered_pairs import OfferedPairs
from broadcast.roster import NOBODY, Roster
from broadcast.running_broadcasts import RunningBroadcasts
from engine.kernel.broadcast_params import BroadcastParams
from engine.live.views import OfferCard

FORGET_EVERY_S: Final = 60.0
"""No round lasts so long: the rows that it holds were seen since."""

ENDED_KEPT: Final = 4_096
"""Far more than end while one takeover, or the answer of one command, is under way."""


@dataclass(slots=True)
class BroadcasterState:
    """The roster, the running broadcasts, the pairs that are settled, and what is due."""

    vocabulary: Vocabulary
    running: RunningBroadcasts
    due: DueInstants
    open_offers_max: int
    roster: Roster = field(default_factory=Roster)
    offered: OfferedPairs = field(default_factory=OfferedPairs)
    over: set[UUID] = field(default_factory=set)
    """Broadcasts that have ended, as far as is known; how, the database is asked."""
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while `over` is not empty."""
    ended: dict[UUID, None] = field(default_factory=dict)
    """The last `ENDED_KEPT` that ended while they did not run here: one may be on its way in."""
    untold: set[UUID] = field(default_factory=set)
    """Broadcasts whose posters are to hear of another radius or count."""
    _forgot_at_s: float = field(default_factory=time.monotonic)

    def add(self, params: BroadcastParams, prices: MarketPrices, at: datetime) -> ActiveBroadcast:
        """Takes a running broadcast in, with the radius it has at `at`."""
        broadcast = self.running.add(params, prices, at)
        self.due.add(params.expires_at.timestamp(), "END", params.id)
        self._expands(broadcast, at)
        if params.id in self.ended:
            self.end(params.id)
        return broadcast

    def offered_to(self, broadcast: ActiveBroadcast, hustlers: Ids, now_s: float) -> None:
        """Notes whom a broadcast has been offered to, each once, seen or not; `now_s` is monotonic."""
        if not hustlers.size:
            return
        unknown = hustlers[self.roster.rows_of(hustlers) == NOBODY]
        self.roster.add(unknown)
        rows = self.roster.rows_of(hustlers)
        rows = rows[rows != NOBODY]
        self.roster.seen(rows, now_s)
        self.offered.add(np.full(rows.size, broadcast.slot), rows)
        self.running.notified(broadcast, hustlers.size)

    def card_of(self, broadcast_id: UUID) -> OfferCard | None:
        """Returns the card that the hustlers of a broadcast share; None when it does not run."""
        broadcast = self.running.get(broadcast_id)
        return None if broadcast is None else broadcast.card()

    def grow_radius(self, broadcast: ActiveBroadcast, at: datetime) -> None:
        """Gives a broadcast the radius of its plan, unless it is over; its poster is to be told."""
        if broadcast.params.id not in self.over:
            self.running.grow_radius(broadcast, at)
            self.untold.add(broadcast.params.id)
        self._expands(broadcast, at)

    def end(self, broadcast_id: UUID) -> None:
        """Takes a broadcast out of every round; its cards leave when the database says how it ended.

        One that is not running here will not, should what was read of it before its end arrive.
        """
        broadcast = self.running.get(broadcast_id)
        if broadcast is None:
            self.ended[broadcast_id] = None
            if len(self.ended) > ENDED_KEPT:
                del self.ended[next(iter(self.ended))]
            return
        self.over.add(broadcast_id)
        self.running.stop(broadcast)
        self.is_over.set()

    def resume(self, broadcast_id: UUID, at: datetime, after_s: float) -> None:
        """Puts a broadcast back that has not ended yet by the database's clock."""
        broadcast = self.running.get(broadcast_id)
        if broadcast is not None:
            self.running.grow_radius(broadcast, at)
            again_s = max(broadcast.params.expires_at.timestamp(), at.timestamp() + after_s)
            self.due.add(again_s, "END", broadcast_id)

    def remove(self, broadcast: ActiveBroadcast) -> list[UUID]:
        """Forgets an ended broadcast; returns the hustlers for whom a first place became free."""
        rows = self.offered.rows(broadcast.slot)
        full = rows[self.roster.hustlers.open_offers[rows] >= self.open_offers_max]
        self.roster.offers_opened(rows, -1)
        self.offered.clear(broadcast.slot)
        self.running.remove(broadcast)
        return self.roster.uuids(full)

    def drop(self, broadcast: ActiveBroadcast) -> None:
        """Leaves a broadcast to another process; the offers that it has made stay open."""
        self.offered.clear(broadcast.slot)
        self.over.discard(broadcast.params.id)
        self.running.remove(broadcast)

    def forget(self, now_s: float) -> None:
        """Gives up the rows of hustlers whom no running broadcast can know; `now_s` is monotonic."""
        if now_s - self._forgot_at_s >= FORGET_EVERY_S:
            self._forgot_at_s = now_s
            oldest_s = min((broadcast.known_at_s for broadcast in self.running), default=now_s)
            self.roster.forget(min(oldest_s, now_s - FORGET_EVERY_S))

    def _expands(self, broadcast: ActiveBroadcast, at: datetime) -> None:
        next_at = broadcast.plan.next_expansion_at(at)
        if next_at is not None:
            self.due.add(next_at.timestamp(), "EXPANSION", broadcast.params.id)

    @classmethod
    def new(cls, due: DueInstants, open_offers_max: int) -> BroadcasterState:
        """Returns the state of a broadcaster that has seen nothing."""
        vocabulary = Vocabulary.new()
        return cls(vocabulary, RunningBroadcasts(vocabulary), due, open_offers_max)

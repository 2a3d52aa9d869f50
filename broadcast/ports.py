"""What a broadcaster needs of the layers above it: somebody who delivers, somebody who counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from engine.kernel.applied import ClosedBroadcast
from engine.kernel.ids import UserId
from engine.live.views import BroadcastState, OfferCard


class BroadcastUpdate(Struct, frozen=True):
    """The data of LIVE_BROADCAST_UPDATE: how far a broadcast has come, for its poster."""

    broadcast_id: UUID
    task_id: UUID
    state: BroadcastState
    radius_miles: float
    hustlers_notified: int
    next_expansion_at: datetime | None
    expires_at: datetime


class Delivery(Protocol):
    """Brings cards to screens. Nothing here awaits, raises, or blocks.

    Whatever is lost on the way comes again: cards until `taken` reports them,
    closings with every list of open offers.
    """

    def cards(self, cards: Sequence[tuple[UserId, OfferCard]]) -> None:
        """Show each card to its hustler: at most once per socket, never after its `closed`."""

    def broadcast_update(self, poster: UserId, update: BroadcastUpdate) -> None:
        """Tell the poster how the broadcast stands; not durable."""

    def closed(self, closed: ClosedBroadcast) -> None:
        """Take the broadcast's cards off every screen and drop late ones; repeats are harmless."""

    def connected(self) -> Collection[UserId]:
        """Users who can be shown a card now."""

    def taken(self) -> Mapping[tuple[UUID, UUID], float]:
        """(broadcast, hustler) of the cards that reached a socket since the last call, and when.

        Monotonic seconds; repeats count, too: what is never reported is sent again.
        """


class WaveMetrics(Protocol):
    """Counts what the broadcaster does (`gateway.metrics.broadcasts`). Nothing here raises."""

    def offers_made(self, count: int) -> None:
        """Offers inserted."""

    def offers_deferred(self, count: int) -> None:
        """Pairs that a cap put off to a later tick."""

    def offers_resent(self, count: int) -> None:
        """Cards delivered again since no socket reported them."""

    def pairs_evaluated(self, count: int) -> None:
        """Pairs put to the database and judged."""

    def ticked(self, seconds: float) -> None:
        """One evaluation of all broadcasts and how long it took."""

    def database_called(self) -> None:
        """One query of the broadcaster; none in a quiet tick."""

    def failed(self, loop: str) -> None:
        """One round of a loop (bell, tick, pulse, report) was lost to a failure."""

    def running(self, broadcasts: int) -> None:
        """How many broadcasts are running now."""

    def funded_to_insert(self, seconds: float) -> None:
        """From the start of a broadcast to its first offers, where its bell found somebody."""

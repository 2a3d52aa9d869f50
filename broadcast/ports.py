"""The ports of the broadcaster: delivery to sockets, and metrics."""

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
    """Delivers cards and updates to sockets. No method awaits, raises, or blocks.

    What is lost is sent again: cards until `taken` reports them, closings with every list of open
    offers.
    """

    def cards(self, cards: Sequence[tuple[UserId, OfferCard]]) -> None:
        """Shows each card to its hustler: at most once per socket, never after its `closed`."""

    def broadcast_update(self, poster: UserId, update: BroadcastUpdate) -> None:
        """Sends the poster the broadcast's progress; not durable."""

    def closed(self, closed: ClosedBroadcast) -> None:
        """Withdraws the broadcast's cards from all sockets and drops late ones; idempotent."""

    def connected(self) -> Collection[UserId]:
        """Returns the users who can be shown a card now."""

    def taken(self) -> Mapping[tuple[UUID, UUID], float]:
        """Returns (broadcast, hustler) → when, of cards that reached a socket since the last call.

        Times are monotonic seconds. Repeats are reported, too; a card never reported is sent again.
        """


class WaveMetrics(Protocol):
    """Counts what the broadcaster does (`gateway.metrics.broadcasts`). No method raises."""

    def offers_made(self, count: int) -> None:
        """Counts offers inserted."""

    def offers_deferred(self, count: int) -> None:
        """Counts pairs that a cap deferred to a later tick."""

    def offers_resent(self, count: int) -> None:
        """Counts cards delivered again since no socket acknowledged them."""

    def pairs_evaluated(self, count: int) -> None:
        """Counts pairs put to the database, which inserts their offers or refuses them."""

    def hustlers_read(self, count: int) -> None:
        """Counts hustlers whose facts were read from the database."""

    def ticked(self, seconds: float) -> None:
        """Observes the duration of one evaluation of all broadcasts."""

    def expanded(self, late_s: Sequence[float]) -> None:
        """Observes, for each radius that grew, how long after its instant the new ring was offered."""

    def database_called(self) -> None:
        """Counts one query of the broadcaster; a quiet tick makes none."""

    def failed(self, loop: str) -> None:
        """Counts a failed round of a loop (wake, tick, poll, acks)."""

    def running(self, broadcasts: int) -> None:
        """Sets the number of broadcasts running now."""

    def funded_to_insert(self, seconds: float) -> None:
        """Observes seconds from a broadcast's start to the offers of its first evaluation."""

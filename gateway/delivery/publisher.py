"""Delivers what happens here to the sockets of this process and, over the bus, of all others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from broadcast.ports import BroadcastUpdate
from engine.kernel.applied import Applied, ClosedBroadcast
from engine.kernel.ids import UserId
from engine.live.views import OfferCard
from gateway.delivery.bus import Bus
from gateway.delivery.bus_messages import Closed, Committed, Shown, Update, Wave
from gateway.delivery.offer_cards import OfferCards


class Publisher:
    """`broadcast.ports.Delivery` for all processes, and subscriber of `Effects`."""

    def __init__(self, cards: OfferCards, bus: Bus) -> None:
        self._cards = cards
        self._bus = bus

    # ── engine.kernel.effects.Subscriber ─────────────────────────────────────────────────────────

    def applied(self, applied: Applied) -> None:
        """Tells the other processes what a command did."""
        committed = Committed.of(applied)
        if committed:
            about = applied.task_id or next((event.user_id for event in applied.events), _NOBODY)
            self._bus.publish(about, committed)

    # ── broadcast.ports.Delivery ─────────────────────────────────────────────────────────────────

    def cards(self, cards: Sequence[tuple[UserId, OfferCard]]) -> None:
        """Shows each card to its hustler, wherever the sockets are."""
        self._cards.cards(cards)
        if self._bus.has_peers:
            for wave in Wave.all_of(cards):
                self._bus.publish(wave.card.broadcast_id, wave)

    def broadcast_update(self, poster: UserId, update: BroadcastUpdate) -> None:
        """Sends the poster the progress of the broadcast; not durable."""
        self._cards.broadcast_update(poster, update)
        self._bus.publish(update.broadcast_id, Update(poster, update))

    def closed(self, closed: ClosedBroadcast) -> None:
        """Withdraws the broadcast's cards from every socket; idempotent."""
        self._cards.closed(closed)
        self._bus.publish(closed.broadcast_id, Closed(closed))

    def connected(self) -> Collection[UserId]:
        """Returns who can be shown a card now; of other processes' users nobody knows: all can."""
        return _EVERYBODY if self._bus.has_peers else self._cards.connected()

    def taken(self) -> Mapping[tuple[UUID, UUID], float]:
        """Returns and clears when each (broadcast, hustler) card reached a socket of this process."""
        taken = self._cards.taken()
        if taken and self._bus.has_peers:
            pairs = list(taken)
            self._bus.publish(pairs[0][0], Shown.of(pairs))
        return taken


class _Everybody(frozenset[UserId]):
    """A set that says of everybody to be in it."""

    def __contains__(self, user: object) -> bool:
        return True


_EVERYBODY: Final = _Everybody()
_NOBODY: Final = UUID(int=0)

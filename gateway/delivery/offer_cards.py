"""Delivery of offer cards: once per socket, and withdrawn when their broadcast ends."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from broadcast.ports import BroadcastUpdate
from engine.kernel.applied import ClosedBroadcast
from engine.kernel.ids import UserId
from engine.live.views import OfferCard
from gateway.contract import codec, limits
from gateway.contract.card_encoding import CardEncoder
from gateway.delivery.ended_broadcasts import EndedBroadcasts
from gateway.delivery.fanout import Fanout
from gateway.delivery.poller import Poller
from gateway.delivery.registry import ConnectionRegistry
from gateway.session import session
from gateway.session.connection import Connection


class OfferCards:
    """Delivers the broadcaster's cards (`broadcast.ports.Delivery`); every call returns at once."""

    def __init__(
        self, registry: ConnectionRegistry, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._monotonic = monotonic
        self._shown: defaultdict[UUID, set[Connection]] = defaultdict(set)
        self._polled: defaultdict[UUID, set[UserId]] = defaultdict(set)
        self._ended = EndedBroadcasts()
        self._taken: dict[tuple[UUID, UUID], float] = {}
        self._fanout = Fanout()

    # ── broadcast.ports.Delivery ─────────────────────────────────────────────────────────────────

    def connected(self) -> Collection[UserId]:
        """Users who can be shown a card now."""
        return self._registry.connected()

    def cards(self, cards: Sequence[tuple[UserId, OfferCard]]) -> None:
        """Shows each card to its hustler: at most once per socket, never after its `closed`."""
        self._fanout.start(self._show_all(cards))

    def broadcast_update(self, poster: UserId, update: BroadcastUpdate) -> None:
        """Sends the poster the progress of the broadcast; not durable."""
        if self._registry.user(poster) is not None:
            self._registry.send(poster, codec.encode("LIVE_BROADCAST_UPDATE", update))

    def closed(self, closed: ClosedBroadcast) -> None:
        """Withdraws the broadcast's cards from every socket and drops late ones; idempotent."""
        self._ended.add(closed.broadcast_id, self._monotonic())
        for user in self._polled.pop(closed.broadcast_id, ()):
            connections = self._registry.user(user)
            if connections is not None and connections.poller is not None:
                connections.poller.gone(closed.broadcast_id)
        shown_to = self._shown.pop(closed.broadcast_id, None)
        if shown_to:
            self._fanout.start(self._hide_all(closed, shown_to))

    def taken(self) -> Mapping[tuple[UUID, UUID], float]:
        """Returns and clears when each (broadcast, hustler) card reached a socket."""
        taken, self._taken = self._taken, {}
        return taken

    # ── Sessions ─────────────────────────────────────────────────────────────────────────────────

    def has_ended(self, broadcast_id: object) -> bool:
        """Returns whether the broadcast has ended, so that its cards may not be shown any more."""
        return broadcast_id in self._ended

    def opened_with(self, connection: Connection, user: UserId, broadcasts: Iterable[UUID]) -> None:
        """Counts the cards of a snapshot as shown on this socket."""
        for broadcast_id in broadcasts:
            self._shown[broadcast_id].add(connection)
            self._took(broadcast_id, user)

    def broadcasts(self) -> Collection[UUID]:
        """Returns the broadcasts whose end a socket or long poll of this process must get."""
        return self._shown.keys() | self._polled.keys()

    def concerns(self, hustler: UserId) -> bool:
        """Returns whether a card is shown to the user, or was withdrawn and may come back."""
        connections = self._registry.user(hustler)
        if connections is None:
            return False
        if connections.poller is not None and connections.poller.broadcasts():
            return True
        return any(connection.session.cards.broadcasts() for connection in connections.sockets)

    def left(self, connection: Connection) -> None:
        """Removes a closed socket from the index of shown cards."""
        for broadcast_id in connection.session.cards.broadcasts():
            self.untrack(connection, broadcast_id)

    def untrack(self, connection: Connection, broadcast_id: UUID) -> None:
        """Removes the socket from those that are notified of the broadcast's end."""
        shown_to = self._shown.get(broadcast_id)
        if shown_to is not None:
            shown_to.discard(connection)
            if not shown_to:
                del self._shown[broadcast_id]

    def withdraw(self, hustler: UserId) -> None:
        """Withdraws every card of a hustler who is not offerable for now from all sockets."""
        connections = self._registry.user(hustler)
        if connections is None:
            return
        for connection in connections.sockets:
            connection.session.withdraw()
            connection.flush()
        if connections.poller is not None:
            self.forget_poller(hustler, connections.poller)
            connections.poller.withdraw()

    def answered(self, hustler: UserId, broadcast_id: UUID, task_id: UUID) -> None:
        """Withdraws a card that its hustler declined from the user's other sockets."""
        connections = self._registry.user(hustler)
        if connections is None:
            return
        closing = session.close_message(broadcast_id, task_id, "WITHDRAWN")
        for connection in connections.sockets:
            connection.session.hide(broadcast_id, closing)
            connection.flush()
            if not connection.session.cards.awaits_end(broadcast_id):
                self.untrack(connection, broadcast_id)
        if connections.poller is not None:
            connections.poller.gone(broadcast_id)

    def forget_poller(self, user: UserId, poller: Poller) -> None:
        """Removes a long poll from those that are notified of the ends of its offers."""
        for broadcast_id in poller.broadcasts():
            polled = self._polled.get(broadcast_id)
            if polled is not None:
                polled.discard(user)
                if not polled:
                    del self._polled[broadcast_id]

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Runs the fan-outs that did not fit into one turn of the event loop, until cancelled."""
        await self._fanout.run()

    def forget(self, now: float) -> None:
        """Drops the state of broadcasts that ended long ago; `now` is monotonic seconds."""
        self._ended.forget(now)

    # ── Inside ───────────────────────────────────────────────────────────────────────────────────

    def _show_all(self, cards: Sequence[tuple[UserId, OfferCard]]) -> Iterator[None]:
        of_users: dict[UserId, list[OfferCard]] = {}
        for user, card in cards:
            of_users.setdefault(user, []).append(card)
        encoder = CardEncoder()
        for user, own in of_users.items():
            self._show(user, own, encoder)
            yield

    def _show(self, user: UserId, cards: Iterable[OfferCard], encoder: CardEncoder) -> None:
        """Shows one hustler's cards: each socket is written to once, whatever their number."""
        connections = self._registry.user(user)
        if connections is None:
            return
        for card in cards:
            broadcast_id = card.broadcast_id
            if broadcast_id in self._ended:
                continue
            taken = False
            payload = encoder.encode(card) if connections.sockets else b""
            for connection in connections.sockets:
                if connection.session.show(broadcast_id, card.task.id, payload):
                    taken = True
                    self._shown[broadcast_id].add(connection)
            if connections.poller is not None:
                self._polled[broadcast_id].add(user)
                taken = connections.poller.offer(broadcast_id) or taken
            if taken:
                self._took(broadcast_id, user)
        for connection in connections.sockets:
            connection.flush()

    def _took(self, broadcast_id: UUID, user: UserId) -> None:
        if len(self._taken) < limits.CARD_ACKS_KEPT:
            self._taken.setdefault((broadcast_id, user), self._monotonic())

    def _hide_all(self, closed: ClosedBroadcast, shown_to: set[Connection]) -> Iterator[None]:
        closing = session.close_message(closed.broadcast_id, closed.task_id, closed.reason)
        for connection in shown_to:
            connection.session.hide(closed.broadcast_id, closing)
            connection.flush()
            yield

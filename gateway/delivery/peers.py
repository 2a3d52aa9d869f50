"""What this process does when another one says something over the bus, or cannot be heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Protocol, assert_never
from uuid import UUID

from engine.kernel.effects import Effects
from engine.kernel.ids import UserId
from gateway.contract import limits
from gateway.delivery.bus import Bus
from gateway.delivery.bus_messages import (
    Answered,
    Closed,
    Committed,
    Hello,
    Message,
    Nearby,
    Shown,
    Update,
    Volatile,
    Wave,
)
from gateway.delivery.hub import Hub


class Waves(Protocol):
    """The broadcaster, as far as other processes' doings concern it."""

    def wake(self, broadcast_id: UUID) -> None:
        """Schedules an evaluation of a broadcast."""

    def wake_hustlers(self, hustlers: Collection[UUID]) -> None:
        """Schedules an evaluation of hustlers."""

    def shown(self, pairs: Iterable[tuple[UUID, UUID]]) -> None:
        """Notes cards that reached a socket."""

    def suspect(self, hustlers: Iterable[UUID]) -> None:
        """Schedules a look for cards of these hustlers that reached no socket."""


class Peers:
    """Listener of the bus (`gateway.delivery.bus.BusListener`)."""

    def __init__(
        self,
        bus: Bus,
        hub: Hub,
        waves: Waves,
        effects: Effects,
        ask_what_changed: Callable[[], object],
    ) -> None:
        """`effects` are the subscribers of this process alone."""
        self._bus = bus
        self._hub = hub
        self._waves = waves
        self._effects = effects
        self._ask_what_changed = ask_what_changed

    def heard(self, message: Message) -> None:  # noqa: C901 - one branch for each kind
        """Acts on a message of another process."""
        match message:
            case Hello():
                pass
            case Committed():
                self._effects.publish(message.applied())
                for broadcast_id in message.started:
                    self._waves.wake(broadcast_id)
            case Wave():
                own = message.cards_of(self._hub.registry.connected())
                if own:
                    self._hub.cards.cards(own)
            case Closed():
                self._hub.cards.closed(message.broadcast)
            case Update():
                self._hub.cards.broadcast_update(UserId(message.poster), message.update)
            case Volatile():
                self._hub.registry.send(UserId(message.user), message.payload, volatile=True)
            case Answered():
                hustler = UserId(message.hustler)
                self._hub.cards.answered(hustler, message.broadcast_id, message.task_id)
            case Shown():
                self._waves.shown(message)
            case Nearby():
                self._waves.wake_hustlers(message.hustlers)
            case _:
                assert_never(message)

    def may_have_missed(self) -> None:
        """Asks at once what changed: the bus is heard again, or for the first time."""
        self._ask_what_changed()

    async def run(self) -> None:
        """Looks for cards of this process's hustlers while nobody can send them; until cancelled."""
        while True:
            await asyncio.sleep(limits.BUS_LOST_LOOK_EVERY_S)
            if not self._bus.is_listening:
                self._waves.suspect(tuple(self._hub.registry.connected()))

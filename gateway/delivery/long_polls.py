"""Long polls and streams: `GET /v1/events` and `/v1/events/stream` wait here for events and offers.

Between two of them a caller still counts as connected for a minute, and what changed meanwhile ends
the next poll at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.kernel import errors
from engine.kernel.ids import UserId
from gateway.contract import close_codes, limits
from gateway.delivery.poller import Poller, Woken
from gateway.delivery.registry import ConnectionRegistry
from gateway.delivery.streams import Stream


class LongPolls:
    """The waiting long polls and open streams of this process, by user."""

    def __init__(
        self, registry: ConnectionRegistry, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._monotonic = monotonic
        self._stopping = False
        self.open = 0
        """Polls that wait now, and streams."""

    async def wait_for(self, user: UserId, after: int, seconds: float) -> Woken:
        """Waits for the first event after `after` or a change of the open offers.

        The caller looks into the log before and after; an event committed between its look and
        this call is found within a second, by the look at the counters of whoever has just come.
        UNAVAILABLE when too many wait already.
        """
        if self._stopping:
            return "STOPPING"
        self.check_room()
        self.open += 1
        poller = self._poller(user)
        woken = poller.begin(after)
        try:
            async with asyncio.timeout(min(seconds, limits.POLL_MAX_S)):
                return await woken
        except TimeoutError:
            return "TIMEOUT"
        finally:
            self.open -= 1
            poller.end(woken, self._monotonic())

    def check_room(self) -> None:
        """UNAVAILABLE when too many are open already, or the service stops."""
        if self._stopping or self.open >= limits.MAX_POLLS:
            raise errors.refusal("UNAVAILABLE")

    @contextmanager
    def stream(self, user: UserId, after: int) -> Iterator[Stream]:
        """Opens a stream behind `after`, which is told everything from here on; as `check_room`."""
        self.check_room()
        self.open += 1
        poller, stream = self._poller(user), Stream(after)
        poller.follow(stream)
        try:
            yield stream
        finally:
            self.open -= 1
            poller.unfollow(stream, self._monotonic())

    def unread(self, user: UserId) -> None:
        """Takes back the last poll's answer: its caller had hung up."""
        connections = self._registry.user(user)
        if connections is not None and connections.poller is not None:
            connections.poller.unread()

    def suspended(self, user: UserId) -> None:
        """Closes the streams of a suspended account."""
        connections = self._registry.user(user)
        if connections is not None and connections.poller is not None:
            connections.poller.close_streams(close_codes.NOT_ALLOWED)

    def _poller(self, user: UserId) -> Poller:
        """Returns the user's poller, made where there is none; who has come is looked at once."""
        connections = self._registry.of(user)
        connections.poller = connections.poller or Poller()
        self._registry.unchecked.add(user)
        return connections.poller

    def forget(self, now: float) -> Iterator[tuple[UserId, Poller]]:
        """Drops and yields the users who have not polled for a while; monotonic seconds."""
        for user, poller in self._registry.pollers():
            if not poller.waiting and poller.until <= now:
                self._registry.forget_poller(user)
                yield user, poller

    def stop(self) -> None:
        """Answers every waiting poll and closes every stream, for the shutdown of the service."""
        self._stopping = True
        for _, poller in self._registry.pollers():
            poller.stop()

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
from gateway.contract import limits
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

    async def wait_for(
        self, user: UserId, after: int, seconds: float, *, issued_at: float = 0.0
    ) -> Woken:
        """Waits for the first event after `after` or a change of the open offers.

        The caller looks into the log before and after; an event committed between its look and
        this call is found within a second, by the look at the counters of whoever has just come.
        UNAVAILABLE when too many wait already; HX502 or HX503 when the caller is shut out meanwhile.
        `issued_at` is when the caller's token was, in Unix seconds.
        """
        if self._stopping:
            return "STOPPING"
        self.check_room()
        self.open += 1
        poller = self._poller(user)
        woken = poller.begin(after, issued_at)
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
    def stream(self, user: UserId, after: int, *, issued_at: float = 0.0) -> Iterator[Stream]:
        """Opens a stream behind `after`, which is told everything from here on; as `check_room`."""
        self.check_room()
        self.open += 1
        poller, stream = self._poller(user), Stream(after, issued_at)
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

"""Long polls: `GET /v1/events` waits here for the caller's first event or a changed offer.

Between two polls a caller still counts as connected for a minute, and what changed meanwhile ends
the next poll at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from engine.kernel import errors
from engine.kernel.ids import UserId
from gateway.contract import limits
from gateway.delivery.poller import Poller, Woken
from gateway.delivery.registry import ConnectionRegistry


class LongPolls:
    """The waiting long polls of this process, by user."""

    def __init__(
        self, registry: ConnectionRegistry, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._monotonic = monotonic
        self._stopping = False
        self.open = 0
        """Polls that wait now."""

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
        if self.open >= limits.MAX_POLLS:
            raise errors.refusal("UNAVAILABLE")
        self.open += 1
        connections = self._registry.of(user)
        poller = connections.poller = connections.poller or Poller()
        self._registry.unchecked.add(user)
        woken = poller.begin(after, issued_at)
        try:
            async with asyncio.timeout(min(seconds, limits.POLL_MAX_S)):
                return await woken
        except TimeoutError:
            return "TIMEOUT"
        finally:
            self.open -= 1
            poller.end(woken, self._monotonic())

    def forget(self, now: float) -> Iterator[tuple[UserId, Poller]]:
        """Drops and yields the users who have not polled for a while; monotonic seconds."""
        for user, poller in self._registry.pollers():
            if not poller.waiting and poller.until <= now:
                self._registry.forget_poller(user)
                yield user, poller

    def stop(self) -> None:
        """Answers every waiting poll, for the shutdown of the service."""
        self._stopping = True
        for _, poller in self._registry.pollers():
            poller.stop()

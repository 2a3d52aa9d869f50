"""Brings sessions that missed durable events up to the event log, once a second (design §7).

Relay, resume and gap detector in one: each session's offset is compared with the log's counters.

Whatever the push lost, or another process or psql committed, is found here and read from the log.
While PostgreSQL is away nothing is lost: the comparison after its return finds it all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import islice

from engine.api.queries import Queries
from engine.kernel.applied import UserEvent
from engine.kernel.ids import UserId
from engine.kernel.loops import supervise
from gateway.contract import limits
from gateway.delivery.hub import Hub
from gateway.delivery.snapshots import Snapshots
from gateway.session import rendering


class Catchup:
    """Reads from the log what connected sessions miss, and hands it to the hub."""

    def __init__(
        self,
        hub: Hub,
        queries: Queries,
        snapshots: Snapshots,
        heard: Callable[[Sequence[UserEvent]], None],
    ) -> None:
        """`heard` is called with the events that were read for those who missed them."""
        self._hub = hub
        self._heard = heard
        self._queries = queries
        self._snapshots = snapshots
        self._compare_at = time.monotonic()

    async def run(self) -> None:
        """Runs rounds until cancelled."""
        await supervise("catchup", self.round)

    async def round(self) -> None:
        """Waits for a gap or the next second, then compares and fills what is missing."""
        try:
            async with asyncio.timeout(max(0.0, self._compare_at - time.monotonic())):
                await self._hub.work.wait()
        except TimeoutError:
            pass
        if time.monotonic() >= self._compare_at:
            self._compare_at = time.monotonic() + limits.CATCHUP_EVERY_S
            await self.compare()
        await self.fill_gaps()
        await self.show_reopened()
        if not (self._hub.behind or self._hub.reopened):
            self._hub.work.clear()

    async def compare(self) -> None:
        """Compares all connected users with the log by one query; closes suspended users."""
        users: Sequence[UserId] = tuple(self._hub.registry.connected())
        if not users:
            return
        standings = await self._queries.events.standings(users)
        self._hub.heard_of((standing.user, standing.last_seq) for standing in standings)
        for standing in standings:
            if standing.is_suspended:
                self._hub.suspended(standing.user)

    async def fill_gaps(self) -> None:
        """Reads pages of the log until no connected session misses events."""
        while self._hub.behind:
            users = list(islice(self._hub.behind, limits.FANOUT_SLICE))
            offsets = {
                user: after
                for user in users
                if (after := self._hub.missing_after(user)) is not None
            }
            if offsets:
                found = await self._queries.events.after_many(offsets)
                events = await rendering.complete(self._queries.codes, found)
                for user, after in offsets.items():
                    own = [event for event in events if event.user_id == user]
                    if not own or own[0].seq != after + 1:
                        self._hub.resync(user)
                    else:
                        self._hub.fill(own)
                        self._heard(own)
            self._hub.behind.difference_update(
                user for user in users if self._hub.missing_after(user) is None
            )

    async def show_reopened(self) -> None:
        """Shows the open offers of users whose withdrawn cards may be open again."""
        users = list(self._hub.reopened)
        for snapshot in await asyncio.gather(*(self._snapshots.read(user) for user in users)):
            user = UserId(snapshot.user_id)
            self._hub.reopened.discard(user)
            self._hub.cards.cards([(user, offer) for offer in snapshot.offers])

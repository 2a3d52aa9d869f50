"""Brings sessions that missed something up to the database: relay, resume and gap detector in one.

Whatever the push lost, or another process or psql committed, comes by `engine.events.changes`; whoever
has just come is looked at once by itself. Only where more may have changed than is told (at the start,
after a failover) everybody is compared (design §7).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import islice
from typing import Final

from engine.api.queries import Queries
from engine.events.changes import Changes
from engine.kernel.applied import ClosedBroadcast, ClosedReason
from engine.kernel.batches import batches
from engine.kernel.ids import UserId
from engine.kernel.loops import supervise
from engine.live.views import BroadcastState, ChangedBroadcast
from gateway.contract import limits
from gateway.delivery.hub import Hub
from gateway.delivery.missed_events import events_after
from gateway.session.session import Phase

_CLOSED: Final[dict[BroadcastState, ClosedReason]] = {
    "ACCEPTED": "CLAIMED",
    "EXPIRED": "EXPIRED",
    "CANCELLED": "CANCELLED",
}
"""Why the cards of an ended broadcast leave the screen."""


class Catchup:
    """Subscriber of `ChangeFeed` that reads what connected users miss, and hands it to the hub."""

    def __init__(self, hub: Hub, queries: Queries) -> None:
        self._hub = hub
        self._queries = queries
        self._check_at = time.monotonic()
        self._compares_all = False
        self._hustlers: set[UserId] = set()
        """Hustlers with cards who may not be offerable any more, or may be again."""

    def changed(self, changes: Changes) -> None:
        """Acts on what concerns the users of this process; what needs a query waits for a round."""
        self._hub.heard_of((news.user, news.last_seq) for news in changes.users)
        for user in changes.suspended:
            self._hub.suspended(user)
        for revoked in changes.revoked:
            self._hub.revoked(revoked.user, revoked.at)
        self._close(changes.broadcasts)
        self._hustlers.update(filter(self._hub.cards.concerns, changes.hustlers))
        self._compares_all |= changes.all_may_have_changed
        if self._hustlers or self._compares_all:
            self._hub.work.set()

    async def run(self) -> None:
        """Runs rounds until cancelled."""
        await supervise("catchup", self.round)

    async def round(self) -> None:
        """Waits for work or the next second, then reads what is missing."""
        try:
            async with asyncio.timeout(max(0.0, self._check_at - time.monotonic())):
                await self._hub.work.wait()
        except TimeoutError:
            pass
        if self._compares_all:
            await self.compare_all()
        if time.monotonic() >= self._check_at:
            self._check_at = time.monotonic() + limits.CATCHUP_EVERY_S
            await self.check_new()
        await self.fill_gaps()
        await self.check_hustlers()
        await self.show_reopened()
        if not (self._hub.behind or self._hub.reopened or self._hustlers or self._compares_all):
            self._hub.work.clear()

    async def compare_all(self) -> None:
        """Compares all connected users and all cards with the database, in batches."""
        self._compares_all = False
        try:
            for users in batches(self._hub.registry.connected(), limits.COMPARE_BATCH):
                await self._compare(users)
            for broadcasts in batches(self._hub.cards.broadcasts(), limits.COMPARE_BATCH):
                self._close(await self._queries.live.ended(broadcasts))
        except BaseException:
            self._compares_all = True
            raise

    async def check_new(self) -> None:
        """Compares the users who have come since the last look, once their sessions are open.

        What committed between the reads that a session began with and now may have been told
        before it was there to hear of it.
        """
        unchecked = self._hub.registry.unchecked
        users = {user for user in unchecked if not self._is_opening(user)}
        unchecked -= users
        try:
            for batch in batches(users, limits.COMPARE_BATCH):
                await self._compare(batch)
        except BaseException:
            unchecked |= users
            raise

    def _is_opening(self, user: UserId) -> bool:
        return any(
            connection.session.phase is Phase.AUTHENTICATING and not connection.gone
            for connection in self._hub.registry.sockets(user)
        )

    async def _compare(self, users: Sequence[UserId]) -> None:
        """Compares these users with their counters, accounts and states."""
        standings = await self._queries.events.standings(users)
        self._hub.heard_of((standing.user, standing.last_seq) for standing in standings)
        for standing in standings:
            if standing.is_suspended:
                self._hub.suspended(standing.user)
            if standing.tokens_revoked_at is not None:
                self._hub.revoked(standing.user, standing.tokens_revoked_at)
        self._hustlers.update(filter(self._hub.cards.concerns, users))

    def _close(self, broadcasts: Sequence[ChangedBroadcast]) -> None:
        """Takes the cards of ended broadcasts off the screens."""
        for broadcast in broadcasts:
            if broadcast.state != "ACTIVE":
                reason = _CLOSED[broadcast.state]
                self._hub.cards.closed(ClosedBroadcast(broadcast.id, broadcast.task_id, reason))

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
                events = await events_after(self._queries, offsets)
                for user, after in offsets.items():
                    own = events.get(user)
                    if not own or own[0].seq != after + 1:
                        self._hub.resync(user)
                    else:
                        self._hub.fill(own)
            self._hub.behind.difference_update(
                user for user in users if self._hub.missing_after(user) is None
            )

    async def check_hustlers(self) -> None:
        """Withdraws the cards of changed hustlers who are not offerable, and brings back others'."""
        hustlers, self._hustlers = self._hustlers, set()
        try:
            for batch in batches(hustlers, limits.COMPARE_BATCH):
                for state in await self._queries.live.states(batch):
                    self._show_or_withdraw(state.hustler, is_offerable=state.is_offerable)
        except BaseException:
            self._hustlers |= hustlers
            raise

    def _show_or_withdraw(self, hustler: UserId, *, is_offerable: bool) -> None:
        if not is_offerable:
            self._hub.cards.withdraw(hustler)
        elif any(c.session.cards.has_withdrawn for c in self._hub.registry.sockets(hustler)):
            self._hub.may_have_reopened(hustler)

    async def show_reopened(self) -> None:
        """Shows the open offers of users whose withdrawn cards may be open again, a batch of them."""
        users = set(islice(self._hub.reopened, limits.SNAPSHOT_BATCH))
        if not users:
            return
        # one who is named again while these are read is read again
        self._hub.reopened -= users
        try:
            found = await self._queries.events.snapshots(list(users))
        except BaseException:
            self._hub.reopened |= users
            raise
        for user, snapshot in found.items():  # one that cannot be read was logged
            self._hub.cards.cards([(user, offer) for offer in snapshot.offers])

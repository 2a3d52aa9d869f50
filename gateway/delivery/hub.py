"""Pushes durable events to the sessions of this process; the only place that does.

Every call returns at once and raises nothing: a lost push is read again from the log (`catchup`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

from engine.events.views import Snapshot
from engine.kernel.applied import Applied, UserEvent
from engine.kernel.ids import UserId
from engine.kernel.loops import supervise
from gateway.contract import close_codes, codec, limits
from gateway.contract.client import Reference
from gateway.delivery.long_polls import LongPolls
from gateway.delivery.offer_cards import OfferCards
from gateway.delivery.registry import ConnectionRegistry
from gateway.metrics.sessions import SessionMetrics
from gateway.session import rendering, session
from gateway.session.connection import Connection

MOVES_HUSTLER: Final = frozenset({"TASK_STATUS_UPDATE", "LIVE_MODE_STATE_CHANGE"})
"""Events after which a hustler's LIVE state, task and open offers are to be read anew."""


class Hub:
    """Subscriber of `engine.kernel.effects.Effects` that pushes what committed commands did."""

    def __init__(
        self,
        metrics: SessionMetrics,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,
    ) -> None:
        self._metrics = metrics
        self._monotonic = monotonic
        self._unix = unix
        self._swept_at = monotonic()
        self.registry = ConnectionRegistry(metrics)
        self.cards = OfferCards(self.registry, monotonic=monotonic)
        self.polls = LongPolls(self.registry, monotonic=monotonic)
        self.behind: set[UserId] = set()
        """Users whose sessions need the log."""
        self.reopened: set[UserId] = set()
        """Users whose withdrawn cards may be open again."""
        self.work = asyncio.Event()
        """Set when `behind` or `reopened` is not empty."""
        self.stopping = False

    # ── Sockets ──────────────────────────────────────────────────────────────────────────────────

    def welcome(self, connection: Connection, snapshot: Snapshot, ref: Reference | None) -> None:
        """Writes WELCOME to an authenticated socket; the cards in its snapshot count as shown."""
        shown = connection.session.open(snapshot, self.cards.has_ended, ref)
        self.cards.opened_with(connection, UserId(snapshot.user_id), shown)
        connection.flush()

    def left(self, connection: Connection) -> None:
        """Removes a closed socket from the registry and the offer cards."""
        self.cards.left(connection)
        self.registry.left(connection)

    def suspended(self, user: UserId) -> None:
        """Closes all sockets and streams of a suspended account."""
        self.polls.suspended(user)
        for connection in self.registry.sockets(user):
            connection.session.end(close_codes.NOT_ALLOWED)
            connection.flush()

    # ── Committed commands ───────────────────────────────────────────────────────────────────────

    def applied(self, applied: Applied) -> None:
        """Pushes a command's events, closes its broadcasts' cards and withdraws its hustlers'."""
        for event in applied.events:
            self.push(event)
        self._push_to_watchers(applied.events)
        for closed in applied.closed:
            self.cards.closed(closed)
        for hustler in applied.withdrawn:
            self.cards.withdraw(UserId(hustler))

    def push(self, event: UserEvent, *, complete: bool = False) -> bool:
        """Writes a durable event to its user's sessions; False when none of them took it.

        An event that the log holds incomplete (a code is to be filled in) is only noted: reading
        the log brings it at once, `complete`.
        """
        user = UserId(event.user_id)
        connections = self.registry.user(user)
        if connections is None:
            return False
        taken = False
        writable = complete or not rendering.needs_code(event)
        payload = session.durable(event) if writable and connections.sockets else b""
        for connection in connections.sockets:
            if not writable:
                connection.session.order.heard_of(event.seq)
            elif connection.session.push(event.seq, payload):
                taken = True
                connection.flush()
            if connection.session.behind:
                self._needs_log(user)
            if connection.session.cards.has_withdrawn and event.type in MOVES_HUSTLER:
                self.may_have_reopened(user)
        if connections.poller is not None:
            connections.poller.event(event.seq)
        self._follow_live_state(event, replayed=complete)
        if taken and rendering.needs_code(event):
            self._metrics.accept_notified(max(0.0, self._unix() - event.at.timestamp()))
        return taken

    def _follow_live_state(self, event: UserEvent, *, replayed: bool) -> None:
        """Withdraws cards when LIVE leaves ACTIVE, and asks for open offers when it returns.

        An event that was read from the log may be older than what the screens show.
        """
        if event.type != "LIVE_MODE_STATE_CHANGE":
            return
        user, is_active = UserId(event.user_id), event.data["state"] == "ACTIVE"
        if not is_active:
            self.cards.withdraw(user)
        if is_active or replayed:
            self.may_have_reopened(user)

    def _push_to_watchers(self, events: Iterable[UserEvent]) -> None:
        steps = {
            UUID(event.data["task_id"]): event.data
            for event in events
            if event.type == "TASK_STATUS_UPDATE"
        }
        for task_id, status in steps.items():
            if watchers := self.registry.watchers(task_id):
                payload = codec.encode(
                    "TASK_STATUS_UPDATE", codec.logged("TASK_STATUS_UPDATE", status)
                )
                for connection in watchers:
                    connection.session.outbox.append(payload)
                    connection.flush()

    # ── The log ──────────────────────────────────────────────────────────────────────────────────

    def heard_of(self, counters: Iterable[tuple[UserId, int]]) -> None:
        """Compares the offsets of each user's sessions with the log's counters (user, last seq)."""
        for user, last_seq in counters:
            connections = self.registry.user(user)
            if connections is None:
                continue
            for connection in connections.sockets:
                connection.session.order.heard_of(last_seq)
                if connection.session.behind:
                    self._needs_log(user)
            if connections.poller is not None:
                connections.poller.event(last_seq)

    def missing_after(self, user: UserId) -> int | None:
        """Returns the seq after which a session of the user misses events; None when none does."""
        written = [
            connection.session.order.written
            for connection in self.registry.sockets(user)
            if connection.session.behind and not connection.gone
        ]
        return min(written, default=None)

    def fill(self, events: Iterable[UserEvent]) -> None:
        """Writes events read from the log to the sessions that miss them."""
        for event in events:
            if self.push(event, complete=True):
                self._metrics.events_replayed(1)

    def resync(self, user: UserId) -> None:
        """Sends RESYNC to the user's sessions that miss events the log no longer holds."""
        for connection in self.registry.sockets(user):
            if connection.session.behind:
                connection.session.resync("TOO_OLD")
                connection.flush()

    def may_have_reopened(self, user: UserId) -> None:
        """Asks for the user's open offers to be read: withdrawn cards may be open again."""
        if self.registry.user(user) is not None:
            self.reopened.add(user)
            self.work.set()

    def _needs_log(self, user: UserId) -> None:
        self.behind.add(user)
        self.work.set()

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Runs fan-outs, and checks every socket once a second, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.cards.run(), name="fanout")
            group.create_task(supervise("sockets", self._sweep), name="sockets")

    async def _sweep(self) -> None:
        await asyncio.sleep(1.0)
        now = self._monotonic()
        # a stall of ours is no silence of theirs: frames may wait unread in the kernel
        stalled = now - self._swept_at > 2.0
        self._swept_at = now
        for count, connection in enumerate(self.registry):
            connection.tick(now, self._unix(), check_silence=not stalled)
            if count % limits.FANOUT_SLICE == limits.FANOUT_SLICE - 1:
                await asyncio.sleep(0)
        for user, poller in self.polls.forget(now):
            self.cards.forget_poller(user, poller)
        self.cards.forget(now)

    def stop(self) -> None:
        """Answers every long poll and closes every socket, for the shutdown of the service."""
        self.stopping = True
        self.polls.stop()
        for connection in self.registry:
            connection.session.end(close_codes.RESTARTING)
            connection.flush()

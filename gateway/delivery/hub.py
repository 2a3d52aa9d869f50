"""The one place from which anything is pushed to those who are connected.

The hub hears of every committed command (`engine.kernel.applied.EffectSink`) and shows the broadcaster's
cards (`broadcast.ports.Delivery`).  Nothing here waits, raises or blocks: what is lost comes back
by the log (`catchup`) or by the broadcaster's pulse.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from broadcast.ports import BroadcastUpdate
from engine.kernel import errors
from engine.kernel.applied import Applied, ClosedBroadcast
from engine.kernel.ids import UserId
from engine.kernel.loops import steadily
from engine.views import OfferCard, Snapshot, UserEvent
from gateway.contract import close_codes, codec, limits
from gateway.contract.client import Reference
from gateway.delivery.ended_broadcasts import EndedBroadcasts
from gateway.delivery.fanout import Fanout
from gateway.delivery.long_polls import Poller, Woken
from gateway.delivery.registry import Attendance, Person
from gateway.metrics.metrics import Metrics
from gateway.session import rendering, session
from gateway.session.connection import Connection

log = structlog.get_logger(__name__)

_MOVES_THE_HUSTLER: Final = frozenset({"TASK_STATUS_UPDATE", "LIVE_MODE_STATE_CHANGE"})


@dataclass(frozen=True, slots=True)
class Bells:
    """Who must hear of what the hub learns; each call returns at once."""

    started: Callable[[UUID], None]
    """A broadcast has just started: evaluate it now."""
    sent: Callable[[Sequence[tuple[UUID, UserId]]], None]
    """These (broadcast, hustler) cards were written to a socket."""
    settle: Callable[[], None]
    """A settlement waits."""
    changed: Callable[[UserId], None]
    """A task or the LIVE state of this user changed."""
    left: Callable[[Connection], None]
    """A socket of an authenticated user closed."""


class Hub(Attendance):
    """Pushes to whoever is here."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(metrics)
        self._monotonic = monotonic
        self._unix = unix
        self._bells: Bells | None = None
        self._shown: defaultdict[UUID, set[Connection]] = defaultdict(set)
        self._polled: defaultdict[UUID, set[UserId]] = defaultdict(set)
        self._ended = EndedBroadcasts()
        self._sent: list[tuple[UUID, UserId]] = []
        self._fanout = Fanout(self._report)
        self._swept_at = monotonic()
        self._polls = 0
        self.behind: set[UserId] = set()
        """Users whose sessions need the log."""
        self.reopened: set[UserId] = set()
        """Users whose withdrawn cards may be open again."""
        self.work = asyncio.Event()
        """Set when `behind` or `reopened` is not empty."""
        self.stopping = False

    def attach(self, bells: Bells) -> None:
        """Names those who must hear; called once, before anything is served."""
        self._bells = bells

    # ── Sockets ──────────────────────────────────────────────────────────────────────────────────

    def welcome(self, connection: Connection, snapshot: Snapshot, ref: Reference | None) -> None:
        """Opens the session by its snapshot; the cards in it count as shown."""
        user = snapshot.user_id
        for broadcast_id in connection.session.open(snapshot, self._ended.__contains__, ref):
            self._shown[broadcast_id].add(connection)
            self._sent.append((broadcast_id, UserId(user)))
        connection.flush()
        self._report()

    def left(self, connection: Connection) -> None:
        """The socket is closed; its hustler is present until the last heartbeat is 90 s old."""
        for broadcast_id in connection.session.cards.broadcasts():
            self.off_screen(connection, broadcast_id)
        super().left(connection)
        if self._bells is not None and connection.session.user_id is not None:
            self._bells.left(connection)

    # ── EffectSink ───────────────────────────────────────────────────────────────────────────────

    def applied(self, applied: Applied) -> None:
        """Pushes what a committed command did."""
        try:
            self._applied(applied)
        except Exception:
            log.exception("push_failed", task_id=str(applied.task_id))

    def _applied(self, applied: Applied) -> None:
        for event in applied.events:
            self.push(event)
        self._tell_watchers(applied.events)
        for closed in applied.closed:
            self.closed(closed)
        for hustler in applied.withdrawn:
            self.withdraw(UserId(hustler))
        if self._bells is not None:
            for broadcast_id in applied.started:
                self._bells.started(broadcast_id)
            if applied.settle:
                self._bells.settle()

    def push(self, event: UserEvent, *, complete: bool = False) -> bool:
        """Writes a durable event to its user's sessions; False when none of them took it.

        An event that the log holds incomplete (a code is to be filled in) is only noted: reading
        the log brings it at once, `complete`.
        """
        user = UserId(event.user_id)
        if event.type in _MOVES_THE_HUSTLER and self._bells is not None:
            self._bells.changed(user)
        person = self._people.get(user)
        if person is None:
            return False
        taken = False
        writable = complete or not rendering.needs_code(event)
        payload = session.durable(event) if writable and person.connections else b""
        for connection in person.connections:
            if not writable:
                connection.session.order.heard_of(event.seq)
            elif connection.session.push(event.seq, payload):
                taken = True
                connection.flush()
            if connection.session.behind:
                self._needs_log(user)
            if connection.session.cards.has_withdrawn and event.type in _MOVES_THE_HUSTLER:
                self.may_have_reopened(user)
        if person.poller is not None:
            person.poller.event(event.seq)
        self._follow_live_state(event, replayed=complete)
        if taken and rendering.needs_code(event):
            self._metrics.told_seconds.observe(max(0.0, self._unix() - event.at.timestamp()))
        return taken

    def _follow_live_state(self, event: UserEvent, *, replayed: bool) -> None:
        """Cards go with the ACTIVE state, whoever ended it, and what is open comes back with it.

        An event that was read from the log may be older than what the screens show.
        """
        if event.type != "LIVE_MODE_STATE_CHANGE":
            return
        user, is_active = UserId(event.user_id), event.data["state"] == "ACTIVE"
        if not is_active:
            self.withdraw(user)
        if is_active or replayed:
            self.may_have_reopened(user)

    def _tell_watchers(self, events: Iterable[UserEvent]) -> None:
        if not self._watching:
            return
        steps = {
            UUID(event.data["task_id"]): event.data
            for event in events
            if event.type == "TASK_STATUS_UPDATE"
        }
        for task_id, status in steps.items():
            watching = self._watching.get(task_id)
            if watching:
                payload = codec.encode(
                    "TASK_STATUS_UPDATE", codec.logged("TASK_STATUS_UPDATE", status)
                )
                for connection in tuple(watching):
                    connection.session.outbox.append(payload)
                    connection.flush()

    # ── Delivery ─────────────────────────────────────────────────────────────────────────────────

    def cards(self, cards: Sequence[tuple[UserId, OfferCard]]) -> None:
        """Shows each card to its hustler: at most once per socket, never after its `closed`."""
        self._fanout.start(self._show_all(cards))

    def _show_all(self, cards: Sequence[tuple[UserId, OfferCard]]) -> Iterator[None]:
        for user, card in cards:
            self._show(user, card)
            yield

    def _show(self, user: UserId, card: OfferCard) -> None:
        broadcast_id = card.broadcast_id
        person = self._people.get(user)
        if person is None or broadcast_id in self._ended:
            return
        taken = False
        payload = codec.encode("LIVE_TASK_BROADCAST", card)
        for connection in person.connections:
            if connection.session.show(broadcast_id, card.task.id, payload):
                taken = True
                self._shown[broadcast_id].add(connection)
                connection.flush()
        if person.poller is not None:
            self._polled[broadcast_id].add(user)
            taken = person.poller.offer(broadcast_id) or taken
        if taken:
            self._sent.append((broadcast_id, user))

    def broadcast_update(self, poster: UserId, update: BroadcastUpdate) -> None:
        """Tells the poster how the broadcast stands; not durable."""
        if poster in self._people:
            self.tell(poster, codec.encode("LIVE_BROADCAST_UPDATE", update))

    def closed(self, closed: ClosedBroadcast) -> None:
        """Takes the broadcast's cards off every screen and drops late ones; repeats are harmless."""
        self._ended.add(closed.broadcast_id, self._monotonic())
        for user in self._polled.pop(closed.broadcast_id, ()):
            person = self._people.get(user)
            if person is not None and person.poller is not None:
                person.poller.gone(closed.broadcast_id)
        shown_to = self._shown.pop(closed.broadcast_id, None)
        if shown_to:
            self._fanout.start(self._take_away_all(closed, shown_to))

    def _take_away_all(self, closed: ClosedBroadcast, shown_to: set[Connection]) -> Iterator[None]:
        farewell = session.farewell(closed.broadcast_id, closed.task_id, closed.reason)
        for connection in shown_to:
            connection.session.take_away(closed.broadcast_id, farewell)
            connection.flush()
            yield

    def withdraw(self, hustler: UserId) -> None:
        """The hustler is not offerable for now: no card stays on any screen."""
        if self._bells is not None:
            self._bells.changed(hustler)
        person = self._people.get(hustler)
        if person is None:
            return
        for connection in person.connections:
            connection.session.withdraw()
            connection.flush()
        if person.poller is not None:
            self._forget_offers(hustler, person.poller)
            person.poller.withdraw()

    def answered(self, hustler: UserId, broadcast_id: UUID, task_id: UUID) -> None:
        """The hustler declined on one road: the card leaves the user's other screens too."""
        person = self._people.get(hustler)
        if person is None:
            return
        farewell = session.farewell(broadcast_id, task_id, "WITHDRAWN")
        for connection in person.connections:
            connection.session.take_away(broadcast_id, farewell)
            connection.flush()
            if not connection.session.cards.awaits_end(broadcast_id):
                self.off_screen(connection, broadcast_id)
        if person.poller is not None:
            person.poller.gone(broadcast_id)

    def off_screen(self, connection: Connection, broadcast_id: UUID) -> None:
        """This socket need not hear of the broadcast's end."""
        shown_to = self._shown.get(broadcast_id)
        if shown_to is not None:
            shown_to.discard(connection)
            if not shown_to:
                del self._shown[broadcast_id]

    def _report(self) -> None:
        if self._sent and self._bells is not None:
            sent, self._sent = self._sent, []
            self._bells.sent(sent)

    # ── The log ──────────────────────────────────────────────────────────────────────────────────

    def heard_of(self, counters: Iterable[tuple[UserId, int]]) -> None:
        """Compares where every session stands with the counters of the log."""
        for user, last_seq in counters:
            person = self._people.get(user)
            if person is None:
                continue
            for connection in person.connections:
                connection.session.order.heard_of(last_seq)
                if connection.session.behind:
                    self._needs_log(user)
            if person.poller is not None:
                person.poller.event(last_seq)

    def suspended(self, user: UserId) -> None:
        """The account may not use the service any more: its sockets are closed."""
        for connection in self.connections(user):
            connection.session.end(close_codes.NOT_ALLOWED)
            connection.flush()

    def missing_after(self, user: UserId) -> int | None:
        """The seq after which some session of the user misses events; None when none does."""
        written = [
            connection.session.order.written
            for connection in self.connections(user)
            if connection.session.behind and not connection.gone
        ]
        return min(written, default=None)

    def fill(self, events: Iterable[UserEvent]) -> None:
        """Writes events from the log to the sessions that miss them."""
        for event in events:
            if self.push(event, complete=True):
                self._metrics.replayed.inc()

    def resync(self, user: UserId) -> None:
        """The log cannot bring what these sessions miss."""
        for connection in self.connections(user):
            if connection.session.behind:
                connection.session.resync("TOO_OLD")
                connection.flush()

    def may_have_reopened(self, user: UserId) -> None:
        """Cards that were withdrawn may be open again: the open offers are read."""
        if user in self._people:
            self.reopened.add(user)
            self.work.set()

    def _needs_log(self, user: UserId) -> None:
        self.behind.add(user)
        self.work.set()

    # ── Long polls ───────────────────────────────────────────────────────────────────────────────

    async def wait_for(
        self,
        user: UserId,
        after: int,
        seconds: float,
    ) -> Woken:
        """Waits for the first event after `after` or a change of the open offers.

        The caller looks into the log before and after; an event committed between its look and
        this call is found by the comparison of counters within a second.
        UNAVAILABLE when too many wait already.
        """
        if self.stopping:
            return "STOPPING"
        if self._polls >= limits.MAX_POLLS:
            raise errors.refusal("UNAVAILABLE")
        self._polls += 1
        person = self._people.setdefault(user, Person())
        poller = person.poller = person.poller or Poller()
        woken = poller.begin(after)
        try:
            async with asyncio.timeout(min(seconds, limits.POLL_MAX_S)):
                return await woken
        except TimeoutError:
            return "TIMEOUT"
        finally:
            self._polls -= 1
            poller.end(woken, self._monotonic())

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Fans out, and once a second looks after every socket; for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fanout.run(), name="fanout")
            group.create_task(steadily("sockets", self._sweep), name="sockets")

    async def _sweep(self) -> None:
        await asyncio.sleep(1.0)
        now = self._monotonic()
        # a stall of ours is no silence of theirs: frames may wait unread in the kernel
        stalled = now - self._swept_at > 2.0
        self._swept_at = now
        for count, connection in enumerate(tuple(self._sockets)):
            connection.tick(now, self._unix(), judge_silence=not stalled)
            if count % limits.FANOUT_SLICE == limits.FANOUT_SLICE - 1:
                await asyncio.sleep(0)
        self._forget_pollers(now)
        self._ended.forget(now)

    def _forget_pollers(self, now: float) -> None:
        for user, person in list(self._people.items()):
            poller = person.poller
            if poller is None or poller.waiting or poller.until > now:
                continue
            person.poller = None
            self._forget_offers(user, poller)
            if not person.connections:
                del self._people[user]

    def _forget_offers(self, user: UserId, poller: Poller) -> None:
        for broadcast_id in poller.broadcasts():
            polled = self._polled.get(broadcast_id)
            if polled is not None:
                polled.discard(user)
                if not polled:
                    del self._polled[broadcast_id]

    def stop(self) -> None:
        """The service stops: long polls answer, sockets are told to come back."""
        self.stopping = True
        for person in tuple(self._people.values()):
            if person.poller is not None:
                person.poller.stop()
        for connection in tuple(self._sockets):
            connection.session.end(close_codes.RESTARTING)
            connection.flush()

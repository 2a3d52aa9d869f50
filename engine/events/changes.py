"""What other transactions changed, told once a second to whoever keeps a copy (ADR 27).

The net under delivery: a push or a message may be lost, what it told of is found here. Its cost is
what changed, not who is connected.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol

import structlog
from msgspec import Struct, field

from engine.kernel.ids import UserId
from engine.kernel.loops import supervise
from engine.kernel.store import Store
from engine.live.views import ChangedBroadcast

log = structlog.get_logger(__name__)


class NewEvents(Struct, frozen=True, array_like=True):
    """A user with new events, and the number of the last of them."""

    user: UserId
    last_seq: int


class RevokedTokens(Struct, frozen=True, array_like=True):
    """A user whose tokens are refused if they were issued until then."""

    user: UserId
    at: datetime


class Changes(Struct, frozen=True):
    """What committed since the last call, each once; what the own process did is among it."""

    now: datetime
    """The database's clock at the call."""
    all_may_have_changed: bool = field(default=False, name="lost")
    """Nothing is known of the time before: compare everything. The rest is empty then."""
    users: tuple[NewEvents, ...] = ()
    suspended: tuple[UserId, ...] = ()
    """Users whose account was shut, and is."""
    revoked: tuple[RevokedTokens, ...] = ()
    """Users whose tokens were revoked. These two are told before the horizon has passed them."""
    hustlers: tuple[UserId, ...] = ()
    """Users of whom something may have changed that decides whether or how work is offered to them:
    profile, account, LIVE status, task held, offer answered."""
    broadcasts: tuple[ChangedBroadcast, ...] = ()

    def __bool__(self) -> bool:
        """Returns whether there is anything to act on."""
        return bool(
            self.all_may_have_changed
            or self.users
            or self.suspended
            or self.revoked
            or self.hustlers
            or self.broadcasts
        )


class _Answer(Changes, frozen=True, kw_only=True):
    """The JSON of `changes_since`."""

    horizon: int
    next: int
    numbering: str


class ChangeSubscriber(Protocol):
    """Receives what changed, synchronously; must not block."""

    def changed(self, changes: Changes) -> None:
        """Acts on what changed, perhaps nothing but the time; the same change may be told twice."""


class Horizon:
    """The transaction up to which everything is known, and how old that knowledge is.

    Times are monotonic seconds.
    """

    _SAMPLES: Final = 3_600
    """An hour of calls: the age of an older horizon is told too low."""

    def __init__(self, now: float) -> None:
        self.xid: int | None = None
        self.numbering: str | None = None
        self._known_to = now
        self._calls: deque[tuple[int, float]] = deque(maxlen=self._SAMPLES)

    def moved(self, xid: int, next_xid: int, numbering: str, asked_at: float) -> None:
        """Sets the horizon of a call that was made at `asked_at`."""
        if numbering != self.numbering:
            self._calls.clear()
        self.xid, self.numbering = xid, numbering
        self._calls.append((next_xid, asked_at))
        # What had a number at an earlier call, and is below the horizon, has ended and is told.
        while self._calls and self._calls[0][0] <= xid:
            self._known_to = self._calls.popleft()[1]

    def age(self, now: float) -> float:
        """Returns the seconds since the instant up to which every commit has been told."""
        return now - self._known_to


class ChangeFeed:
    """The loop that asks what changed, and passes it to every subscriber in their order.

    A subscriber that raises is logged and counted by its class's name, and no other notices.
    """

    def __init__(
        self,
        store: Store,
        subscribers: Sequence[ChangeSubscriber],
        *,
        every_s: float,
        failed: Callable[[str], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`failed` is called with the name of a subscriber that raised."""
        self._store = store
        self._subscribers = tuple(subscribers)
        self._every_s = every_s
        self._failed = failed
        self._monotonic = monotonic
        self._horizon = Horizon(monotonic())
        self._now = asyncio.Event()

    def age_s(self) -> float:
        """Returns the seconds since the instant up to which every commit has been passed on."""
        return self._horizon.age(self._monotonic())

    async def run(self) -> None:
        """Asks until cancelled; losing PostgreSQL only delays."""
        await supervise("change-feed", self._round)

    def ask_now(self) -> None:
        """Ends the pause before the next question: a message between processes may be lost."""
        self._now.set()

    async def _round(self) -> None:
        self._now.clear()
        await self.ask()
        try:
            async with asyncio.timeout(self._every_s):
                await self._now.wait()
        except TimeoutError:
            pass

    async def ask(self) -> None:
        """Asks once, and passes on what changed since the last call that was answered."""
        asked_at = self._monotonic()
        answer = await self._store.call(
            _Answer, "changes_since", self._horizon.xid, self._horizon.numbering
        )
        if answer.all_may_have_changed:
            log.info("all_may_have_changed", horizon=answer.horizon, numbering=answer.numbering)
        self._publish(answer)
        self._horizon.moved(answer.horizon, answer.next, answer.numbering, asked_at)

    def _publish(self, changes: Changes) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber.changed(changes)
            except Exception:
                name = type(subscriber).__name__
                log.exception("subscriber_failed", subscriber=name)
                self._failed(name)

"""The log of a run as its own clients saw it: the source of the view and of the summary.

Times are seconds of the monotonic clock unless named otherwise.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from uuid import UUID

LAST_EVENTS = 200


@dataclass(slots=True)
class TaskTrace:
    """A task's timestamps and ends; `in_reach`: a free hustler stood inside the first radius."""

    task_id: UUID
    title: str
    place: str
    price_cents: int
    pay_cents: int
    """What is left for the hustler after the fee."""
    state: str = "MATCHING"
    radius_miles: float = 0.0
    notified: int = 0
    in_reach: bool = True
    funded_at: float | None = None
    first_card_at: float | None = None
    accepted_at: float | None = None
    hustler_notified_at: float | None = None
    poster_notified_at: float | None = None
    paid_at: float | None = None
    ended_at: float | None = None
    nobody_came: bool = False
    raised: bool = False
    rejected: bool = False
    disputed: bool = False
    hustler_name: str = ""

    def successor(self, successor: UUID) -> TaskTrace:
        """Returns a new trace for the task that succeeds this one."""
        return TaskTrace(successor, self.title, self.place, self.price_cents, self.pay_cents)

    @property
    def time_to_card_s(self) -> float | None:
        """Returns seconds from the fund call to the first card on a device: the service's share."""
        return _between(self.funded_at, self.first_card_at)

    @property
    def time_to_decide_s(self) -> float | None:
        """Returns seconds from the first card to the winner's accept: people's share."""
        return _between(self.first_card_at, self.accepted_at)

    @property
    def time_to_notify_s(self) -> float | None:
        """Returns seconds from the accept to both sides' notification: the service's share."""
        if self.hustler_notified_at is None or self.poster_notified_at is None:
            return None
        return _between(self.accepted_at, max(self.hustler_notified_at, self.poster_notified_at))

    @property
    def time_to_accept_s(self) -> float | None:
        """Returns seconds from funded to both sides notified: the product's measure."""
        if self.hustler_notified_at is None or self.poster_notified_at is None:
            return None
        return _between(self.funded_at, max(self.hustler_notified_at, self.poster_notified_at))


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log: when, what kind, in words."""

    at: float
    kind: str
    text: str


@dataclass(slots=True)
class RunLog:
    """Traces by task, the latest events, and counters by name."""

    began_at: float = field(default_factory=time.monotonic)
    task_traces: dict[UUID, TaskTrace] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=LAST_EVENTS))
    recorded: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    fixes_refused: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    paid_cents: int = 0
    refunded_cents: int = 0

    def record(self, kind: str, text: str) -> None:
        """Adds an event and counts its kind."""
        self.counts[kind] += 1
        self.recorded += 1
        self.events.append(Event(time.monotonic() - self.began_at, kind, text))

    def elapsed_s(self) -> float:
        """Returns seconds since the run began."""
        return time.monotonic() - self.began_at

    def open_trace(self, trace: TaskTrace) -> TaskTrace:
        """Adds the trace of a new or succeeding task; returns the one there if it is known."""
        return self.task_traces.setdefault(trace.task_id, trace)

    def card_shown(self, task_id: UUID) -> None:
        """Notes that a card reached a device."""
        self.counts["card"] += 1
        trace = self.task_traces.get(task_id)
        if trace is not None and trace.first_card_at is None:
            trace.first_card_at = time.monotonic()

    def state_of(self, task_id: UUID, state: str) -> None:
        """Notes a task's transition; terminal states end the trace."""
        trace = self.task_traces.get(task_id)
        if trace is None or trace.ended_at is not None:
            return
        trace.state = state
        trace.disputed |= state == "DISPUTED"
        if state in ("COMPLETED", "CANCELLED", "EXPIRED"):
            trace.ended_at = time.monotonic()

    def paid(self, task_id: UUID) -> None:
        """Notes a payout once, although both sides hear of it."""
        trace = self.task_traces.get(task_id)
        if trace is None or trace.paid_at is not None:
            return
        trace.paid_at = time.monotonic()
        self.paid_cents += trace.pay_cents
        amount = f"${trace.pay_cents / 100:.2f}"
        took_s = trace.paid_at - (trace.funded_at or trace.paid_at)
        self.record("paid", f"{trace.hustler_name} is paid {amount}, {took_s:.0f} s after funding")

    def refunded(self, cents: int) -> None:
        """Notes a refund to a poster."""
        self.counts["refund"] += 1
        self.refunded_cents += cents

    def refused(self, code: str, message: str) -> None:
        """Notes a refusal by the service of anything but a position."""
        self.refusals[f"{code} {message}"] += 1

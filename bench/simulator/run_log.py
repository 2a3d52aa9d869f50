"""What happened in a run, as its own people saw it: the source of the view and of the summary.

Times are seconds of the monotonic clock unless named otherwise.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from uuid import UUID

LAST_EVENTS = 200


@dataclass(slots=True)
class Story:
    """One task's life. `in_reach` tells whether a free hustler stood inside the first radius."""

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
    hustler_told_at: float | None = None
    poster_told_at: float | None = None
    paid_at: float | None = None
    ended_at: float | None = None
    nobody_came: bool = False
    raised: bool = False
    rejected: bool = False
    disputed: bool = False
    hustler_name: str = ""

    def heir(self, successor: UUID) -> Story:
        """The story of the task that carries this one on, from its beginning."""
        return Story(successor, self.title, self.place, self.price_cents, self.pay_cents)

    @property
    def time_to_card_s(self) -> float | None:
        """Machinery: the poster's fund call leaves → the first card is on a phone."""
        return _between(self.funded_at, self.first_card_at)

    @property
    def time_to_decide_s(self) -> float | None:
        """People: first card → the winner's accept leaves."""
        return _between(self.first_card_at, self.accepted_at)

    @property
    def time_to_tell_s(self) -> float | None:
        """Machinery: accept leaves → both winner and poster know."""
        if self.hustler_told_at is None or self.poster_told_at is None:
            return None
        return _between(self.accepted_at, max(self.hustler_told_at, self.poster_told_at))

    @property
    def time_to_accept_s(self) -> float | None:
        """The product's measure: funded → both know."""
        if self.hustler_told_at is None or self.poster_told_at is None:
            return None
        return _between(self.funded_at, max(self.hustler_told_at, self.poster_told_at))


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the run's diary."""

    at: float
    kind: str
    text: str


@dataclass(slots=True)
class Chronicle:
    """Stories by task, the diary, and counters by name."""

    began_at: float = field(default_factory=time.monotonic)
    stories: dict[UUID, Story] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=LAST_EVENTS))
    told: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    fixes_refused: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    paid_cents: int = 0
    refunded_cents: int = 0

    def tell(self, kind: str, text: str) -> None:
        """Write a line of the diary and count its kind."""
        self.counts[kind] += 1
        self.told += 1
        self.events.append(Event(time.monotonic() - self.began_at, kind, text))

    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began_at

    def open_story(self, story: Story) -> Story:
        """A task was created (or succeeds another)."""
        return self.stories.setdefault(story.task_id, story)

    def card_shown(self, task_id: UUID) -> None:
        """A card reached a phone."""
        self.counts["card"] += 1
        story = self.stories.get(task_id)
        if story is not None and story.first_card_at is None:
            story.first_card_at = time.monotonic()

    def state_of(self, task_id: UUID, state: str) -> None:
        """A transition became known; terminal states end the story."""
        story = self.stories.get(task_id)
        if story is None or story.ended_at is not None:
            return
        story.state = state
        story.disputed |= state == "DISPUTED"
        if state in ("COMPLETED", "CANCELLED", "EXPIRED"):
            story.ended_at = time.monotonic()

    def paid(self, task_id: UUID) -> None:
        """The money arrived; both sides hear of it, once is enough."""
        story = self.stories.get(task_id)
        if story is None or story.paid_at is not None:
            return
        story.paid_at = time.monotonic()
        self.paid_cents += story.pay_cents
        amount = f"${story.pay_cents / 100:.2f}"
        took_s = story.paid_at - (story.funded_at or story.paid_at)
        self.tell("paid", f"{story.hustler_name} is paid {amount}, {took_s:.0f} s after funding")

    def refunded(self, cents: int) -> None:
        """Money went back to a poster."""
        self.counts["refund"] += 1
        self.refunded_cents += cents

    def refused(self, code: str, message: str) -> None:
        """The service refused something that was not a position."""
        self.refusals[f"{code} {message}"] += 1

"""What is told about why a hustler is offered a task, or why not."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from engine.kernel.states import Mode, TaskState


class Point(Struct, frozen=True):
    """A place in degrees."""

    lat: float
    lng: float


class Wave(Struct, frozen=True):
    """One step of the radius; `within` says whether the hustler's last position lies in it."""

    radius_miles: float
    at: datetime
    begun: bool
    within: bool | None = None


class ExplainedBroadcast(Struct, frozen=True):
    """The task's latest broadcast; `ended_at` is null while it runs."""

    id: UUID
    state: str
    runs: bool
    started_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    radius_miles: float
    next_expansion_at: datetime | None
    waves: list[Wave]


class ExplainedLive(Struct, frozen=True):
    """The hustler's LIVE state, own radius and own categories; null means no limit."""

    state: str
    reason: str | None
    ends_at: datetime | None
    radius_miles: float | None
    categories: list[str] | None


class ExplainedOffer(Struct, frozen=True):
    """The offer of the latest broadcast; `sent_at` is when a socket took the card."""

    offered_at: datetime
    distance_miles: float
    matching_score: float
    sent_at: datetime | None
    responded_at: datetime | None
    response: Literal["ACCEPT", "DECLINE", "SKIP"] | None


class EligibilityClause(Struct, frozen=True):
    """A clause of the gate as the database checks it; `needed` is null where nothing is."""

    clause: str
    needed: str | None
    has: str
    ok: bool


class PairFacts(Struct, frozen=True):
    """What the database knows of the pair (query `explain_offer`)."""

    at: datetime
    mode: Mode
    state: TaskState
    category: str
    exact: Point
    place: Point
    broadcast: ExplainedBroadcast | None
    live: ExplainedLive
    busy: bool
    released_it: bool
    eligible: bool
    eligibility: list[EligibilityClause]
    open_offers: int
    offer: ExplainedOffer | None
    inputs: dict[str, float | None]


class ExplainedPresence(Struct, frozen=True):
    """How presence knows the hustler: `seen` means heard of within 90 s, with a fix within 5 min.

    Null ages and distance where not even an old position is known.
    """

    seen: bool
    seen_age_s: float | None = None
    fix_age_s: float | None = None
    distance_miles: float | None = None


class ScorePart(Struct, frozen=True):
    """One component of the score; `points` = weight × value."""

    component: str
    weight: float
    value: float
    points: float


class ExplainedScore(Struct, frozen=True):
    """The score at the last position; of an ended broadcast with the deadline as it was then."""

    profile: str
    total: float
    visible: bool
    parts: list[ScorePart]


class Clause(Struct, frozen=True, omit_defaults=True):
    """One condition of an offer, whether it holds, and why; `reason` where it stands in the way."""

    clause: str
    ok: bool
    why: str
    reason: str | None = None


class OfferExplanation(Struct, frozen=True):
    """Everything that decides whether a hustler is offered a task, as it stands at `at`.

    `why_not` says in plain words what stands in the way of an offer; empty where one was made.
    """

    task_id: UUID
    hustler_id: UUID
    at: datetime
    mode: Mode
    state: TaskState
    offered: bool
    why_not: list[str]
    clauses: list[Clause]
    presence: ExplainedPresence
    live: ExplainedLive
    busy: bool
    open_offers: int
    open_offers_max: int
    broadcast: ExplainedBroadcast | None
    offer: ExplainedOffer | None
    score: ExplainedScore | None

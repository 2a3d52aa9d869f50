"""The messages a session yields, as frozen types: the server's half of the contract's tables.

Field for field what `/asyncapi.json` of the service says; a field that the server may leave out has
the value that its absence means. Unknown fields are ignored and unknown types arrive as `Unknown`,
so a newer server breaks no client.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from hustlexp_client.city import City
from hustlexp_client.tasks import (
    BroadcastState,
    HeldTask,
    Offer,
    Point,
    ProposalState,
    TaskState,
)


class LiveState(Struct, frozen=True):
    """LIVE_MODE_STATE_CHANGE: whether this hustler receives offers, and until when not."""

    state: Literal["OFF", "ACTIVE", "COOLDOWN", "PAUSED"]
    reason: str | None = None
    ends_at: datetime | None = None


class LiveView(LiveState, frozen=True):
    """The LIVE state with the running session: since when, how far, for which categories."""

    session_id: UUID | None = None
    since: datetime | None = None
    radius_miles: float | None = None
    categories: list[str] | None = None


class OfferClosed(Struct, frozen=True):
    """LIVE_TASK_UNAVAILABLE: an offer shown earlier can no longer be accepted."""

    broadcast_id: UUID
    task_id: UUID
    reason: Literal["CLAIMED", "CANCELLED", "EXPIRED", "WITHDRAWN"]


class BroadcastUpdate(Struct, frozen=True):
    """LIVE_BROADCAST_UPDATE: how far the poster's broadcast has grown, and whom it reached."""

    broadcast_id: UUID
    task_id: UUID
    state: BroadcastState
    radius_miles: float
    hustlers_notified: int
    next_expansion_at: datetime | None
    expires_at: datetime


class TaskStatus(Struct, frozen=True):
    """TASK_STATUS_UPDATE: every transition of a task, to both sides."""

    task_id: UUID
    state: TaskState
    updated_at: datetime
    arrived_at: datetime | None = None


class JobAssigned(Struct, frozen=True):
    """JOB_ASSIGNED: a hustler accepted; only the poster's copy carries the start code."""

    task_id: UUID
    status: Literal["SCHEDULED"]
    hustler_id: UUID
    eta_minutes: int | None = None
    start_code: str | None = None


class JobStarted(Struct, frozen=True):
    """JOB_STARTED: the start code was right."""

    task_id: UUID
    status: Literal["IN_PROGRESS"]
    started_at: datetime


class JobCompleted(Struct, frozen=True):
    """JOB_COMPLETED: the hustler submitted proof, which waits for the poster's review."""

    task_id: UUID
    status: Literal["COMPLETED_BY_HUSTLER"]


class PaymentCaptured(Struct, frozen=True):
    """PAYMENT_CAPTURED: the money reached the hustler."""

    task_id: UUID
    status: Literal["PAID"]
    payment_id: str


class JobCancelled(Struct, frozen=True):
    """JOB_CANCELLED: cancelled, released or expired; a successor may carry on."""

    task_id: UUID
    status: Literal["CANCELLED"]
    reason: str | None
    successor_id: UUID | None = None
    note: str | None = None


class PriceChanged(Struct, frozen=True):
    """PRICE_CHANGED: another price was agreed on; `payment_intent_updated` once it is paid."""

    task_id: UUID
    new_amount_cents: int
    payment_intent_updated: bool


class PriceProposal(Struct, frozen=True):
    """PRICE_PROPOSAL: a proposed price, and what became of it."""

    task_id: UUID
    proposal_id: UUID
    proposer_id: UUID
    price_cents: int
    state: ProposalState


class ProofRejected(Struct, frozen=True):
    """PROOF_REJECTED: the poster rejected the proof, and why."""

    task_id: UUID
    proof_id: UUID
    reason: str
    rejections_left: int


class EvidenceAdded(Struct, frozen=True):
    """EVIDENCE_ADDED: the task's dispute has new evidence."""

    task_id: UUID
    dispute_id: UUID
    evidence_id: UUID
    side: Literal["POSTER", "HUSTLER", "ADMIN"]


class PaymentRefunded(Struct, frozen=True):
    """PAYMENT_REFUNDED: money went back to the poster."""

    task_id: UUID
    amount_cents: int
    refund_id: str


class XpAwarded(Struct, frozen=True):
    """XP_AWARDED: XP for a paid task; totals are those after it."""

    task_id: UUID
    xp: int
    total_xp: int
    level: int
    level_title: str
    streak_days: int


class BadgeUnlocked(Struct, frozen=True):
    """BADGE_UNLOCKED: a new badge, whose animation is to be played once."""

    badge_id: UUID
    badge_type: str
    title: str


class TrustTierChanged(Struct, frozen=True):
    """TRUST_TIER_CHANGED: the user's own tier, 1 to 4, and why it changed."""

    tier: int
    name: Literal["ROOKIE", "VERIFIED", "TRUSTED", "ELITE"]
    reason: Literal["PROMOTION", "DECAY", "PENALTY", "ADMIN_OVERRIDE"]


class HustlerLocation(Struct, frozen=True):
    """HUSTLER_LOCATION: where the hustler en route is (poster only, not durable)."""

    task_id: UUID
    location: Point
    eta_minutes: int


class Outcome(Struct, frozen=True):
    """BROADCAST_RESPONSE: the outcome of an answer to an offer; the winner gets the task."""

    broadcast_id: UUID
    outcome: Literal["WON", "TAKEN", "EXPIRED", "DECLINED", "SKIPPED"]
    task: HeldTask | None = None


class Nudge(Struct, frozen=True):
    """NUDGE: advice, for instance to take a break, or to choose what becomes of a task."""

    kind: str
    text: str
    task_id: UUID | None = None


class Pong(Struct, frozen=True):
    """PONG: the answer to a heartbeat."""

    timestamp: datetime
    last_seq: int


class FieldProblem(Struct, frozen=True):
    """What is wrong at one place of a request: a JSON pointer, and what it must be."""

    pointer: str
    detail: str


class Problem(Struct, frozen=True):
    """ERROR: one request was refused; the session goes on."""

    code: str
    message: str
    retryable: bool
    invariant: str | None = None
    retry_after_seconds: float | None = None
    reason: str | None = None
    errors: tuple[FieldProblem, ...] = ()


class Welcome(Struct, frozen=True, kw_only=True):
    """WELCOME: the session is open; what the user holds right now."""

    protocol: int = 1
    session_id: UUID
    user_id: UUID
    heartbeat_seconds: int = 30
    server_time: datetime
    last_seq: int
    live: LiveView
    offers: list[Offer]
    tasks: list[HeldTask]


class Resync(Struct, frozen=True):
    """RESYNC: the missed events are gone from the log; trust the WELCOME that follows."""

    reason: Literal["AHEAD", "TOO_OLD"]


class TokenExpiring(Struct, frozen=True):
    """TOKEN_EXPIRING: the session ends with its token, at this time."""

    expires_at: datetime


class Gap(Struct, frozen=True):
    """A gap in `seq`, found by the client: events between `after` and `before` (exclusive)."""

    after: int
    before: int


class Unknown(Struct, frozen=True):
    """A type or an event shape that this client does not know, with its data as it came."""

    data: Any


Body = (
    LiveState
    | Offer
    | OfferClosed
    | BroadcastUpdate
    | TaskStatus
    | JobAssigned
    | JobStarted
    | JobCompleted
    | PaymentCaptured
    | JobCancelled
    | PriceChanged
    | PriceProposal
    | ProofRejected
    | EvidenceAdded
    | PaymentRefunded
    | XpAwarded
    | BadgeUnlocked
    | TrustTierChanged
    | HustlerLocation
    | Outcome
    | Nudge
    | Pong
    | Problem
    | Welcome
    | Resync
    | TokenExpiring
    | City
    | Gap
    | Unknown
)


class Message(Struct, frozen=True):
    """One message of the server; `seq` is set on durable events, `id` on replies."""

    type: str
    body: Body
    seq: int | None = None
    id: str | None = None

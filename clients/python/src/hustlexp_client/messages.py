"""The messages a session yields, as frozen types: the server's half of the contract's tables.

Unknown fields are ignored and unknown types arrive as `Unknown`, so a newer server breaks nobody.
Times are aware UTC datetimes, money integer cents, positions degrees, distances miles.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct


class Place(Struct, frozen=True):
    """A position; rounded to a neighbourhood, with words for it, where the exact one is not shown."""

    lat: float
    lng: float
    address: str | None = None
    place: str | None = None


class LiveState(Struct, frozen=True):
    """LIVE_MODE_STATE_CHANGE: whether this hustler receives offers, and until when not."""

    state: Literal["OFF", "ACTIVE", "COOLDOWN", "PAUSED"]
    reason: str | None = None
    ends_at: datetime | None = None


class OfferedTask(Struct, frozen=True):
    """The task on an offer card."""

    id: UUID
    version: int
    title: str
    category: str
    price_cents: int
    hustler_pay_cents: int
    location: Place
    distance_miles: float
    description: str = ""
    deadline: datetime | None = None
    xp_multiplier: float = 1.0


class Poster(Struct, frozen=True):
    """Who posted, as much as a hustler sees before accepting."""

    first_name: str
    trust_tier: int


class Offer(Struct, frozen=True):
    """LIVE_TASK_BROADCAST: an open offer; answer it with `Session.respond`."""

    broadcast_id: UUID
    task: OfferedTask
    matching_score: float
    expires_at: datetime
    poster: Poster


class OfferClosed(Struct, frozen=True):
    """LIVE_TASK_UNAVAILABLE: an offer shown earlier can no longer be accepted."""

    broadcast_id: UUID
    task_id: UUID
    reason: str


class BroadcastUpdate(Struct, frozen=True):
    """LIVE_BROADCAST_UPDATE: how far the poster's broadcast has grown, and whom it reached."""

    broadcast_id: UUID
    task_id: UUID
    state: str
    radius_miles: float
    hustlers_notified: int
    next_expansion_at: datetime | None = None
    expires_at: datetime | None = None


class TaskStatus(Struct, frozen=True):
    """TASK_STATUS_UPDATE: every transition of a task, to both sides."""

    task_id: UUID
    state: str
    updated_at: datetime | None = None
    arrived_at: datetime | None = None


class JobAssigned(Struct, frozen=True):
    """JOB_ASSIGNED: somebody accepted; only the poster's copy carries the start code."""

    task_id: UUID
    hustler_id: UUID
    eta_minutes: int | None = None
    start_code: str | None = None


class JobStarted(Struct, frozen=True):
    """JOB_STARTED: the start code was right."""

    task_id: UUID
    started_at: datetime | None = None


class JobCompleted(Struct, frozen=True):
    """JOB_COMPLETED: the hustler handed in proof; the poster should look."""

    task_id: UUID


class PaymentCaptured(Struct, frozen=True):
    """PAYMENT_CAPTURED: the money reached the hustler."""

    task_id: UUID
    payment_id: str | None = None


class JobCancelled(Struct, frozen=True):
    """JOB_CANCELLED: cancelled, released or expired; a successor may carry on."""

    task_id: UUID
    reason: str | None = None
    successor_id: UUID | None = None
    note: str | None = None


class PriceChanged(Struct, frozen=True):
    """PRICE_CHANGED: another price was agreed on; `payment_intent_updated` once it is paid."""

    task_id: UUID
    new_amount_cents: int
    payment_intent_updated: bool = False


class PriceProposal(Struct, frozen=True):
    """PRICE_PROPOSAL: a price on the table, and what became of it."""

    task_id: UUID
    proposal_id: UUID
    proposer_id: UUID
    price_cents: int
    state: str


class ProofRejected(Struct, frozen=True):
    """PROOF_REJECTED: the poster turned the proof down, and why."""

    task_id: UUID
    proof_id: UUID
    reason: str = ""
    rejections_left: int = 0


class EvidenceAdded(Struct, frozen=True):
    """EVIDENCE_ADDED: there is something new to read in the task's dispute."""

    task_id: UUID
    dispute_id: UUID
    evidence_id: UUID
    side: str


class PaymentRefunded(Struct, frozen=True):
    """PAYMENT_REFUNDED: money went back to the poster."""

    task_id: UUID
    amount_cents: int
    refund_id: str | None = None


class XpAwarded(Struct, frozen=True):
    """XP_AWARDED: XP for a paid task; totals are those after it."""

    task_id: UUID
    xp: int
    total_xp: int
    level: int
    level_title: str = ""
    streak_days: int = 0


class BadgeUnlocked(Struct, frozen=True):
    """BADGE_UNLOCKED: a new badge, whose animation is to be played once."""

    badge_id: UUID
    badge_type: str
    title: str = ""


class TrustTierChanged(Struct, frozen=True):
    """TRUST_TIER_CHANGED: the user's own tier, 1 to 4, and why it changed."""

    tier: int
    name: str
    reason: str | None = None


class HustlerLocation(Struct, frozen=True):
    """HUSTLER_LOCATION: where the hustler en route is (poster only, not durable)."""

    task_id: UUID
    location: Place
    eta_minutes: int | None = None


class Escrow(Struct, frozen=True):
    """Money held for a task; `client_secret` only where a payment must still be confirmed."""

    id: UUID
    state: str
    amount_cents: int
    client_secret: str | None = None


class Proposal(Struct, frozen=True):
    """Another price; once agreed to, `escrow` waits for the poster's payment."""

    id: UUID
    task_id: UUID
    proposer_id: UUID
    price_cents: int
    state: str
    escrow: Escrow | None = None


class HeldTask(Struct, frozen=True):
    """A task as a snapshot or a REST call shows it; codes only in the poster's own view.

    `replacement` waits for the poster's payment of another price, `proposal` for an answer or for
    that payment.
    """

    id: UUID
    version: int
    state: str
    title: str
    price_cents: int
    hustler_pay_cents: int
    location: Place
    poster_id: UUID
    estimated_minutes: int | None = None
    required_trade: str | None = None
    required_trust_tier: int = 1
    insurance_required: bool = False
    background_check_required: bool = False
    assigned_hustler_id: UUID | None = None
    successor_id: UUID | None = None
    escrow: Escrow | None = None
    replacement: Escrow | None = None
    proposal: Proposal | None = None
    start_code: str | None = None
    completion_code: str | None = None


class Outcome(Struct, frozen=True):
    """BROADCAST_RESPONSE: what became of an answer to an offer; the winner gets the task."""

    broadcast_id: UUID
    outcome: Literal["WON", "TAKEN", "EXPIRED", "DECLINED", "SKIPPED"]
    task: HeldTask | None = None


class Nudge(Struct, frozen=True):
    """NUDGE: advice, for instance to take a break, or to choose what becomes of a task."""

    kind: str
    text: str = ""
    task_id: UUID | None = None


class Pong(Struct, frozen=True):
    """PONG: the answer to a heartbeat."""

    timestamp: Any = None
    last_seq: int | None = None


class FieldProblem(Struct, frozen=True):
    """What is wrong at one place of a request: a JSON pointer, and what it must be."""

    pointer: str
    detail: str


class Problem(Struct, frozen=True):
    """ERROR: one request was refused; the session goes on."""

    code: str
    message: str = ""
    invariant: str | None = None
    retryable: bool = False
    retry_after_seconds: float | None = None
    reason: str | None = None
    errors: tuple[FieldProblem, ...] = ()


class Welcome(Struct, frozen=True):
    """WELCOME: the session is open; what the user holds right now."""

    session_id: UUID
    user_id: UUID
    heartbeat_seconds: float
    server_time: datetime
    last_seq: int
    live: LiveState | None = None
    offers: list[Offer] = []
    tasks: list[HeldTask] = []


class Resync(Struct, frozen=True):
    """RESYNC: the missed events are gone from the log; trust the WELCOME that follows."""

    reason: str = ""


class Gap(Struct, frozen=True):
    """Made by the client: events between `after` and `before` (both exclusive) never came."""

    after: int
    before: int


class Unknown(Struct, frozen=True):
    """A type this client does not know, with its data as it came."""

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
    | Gap
    | Unknown
)

BODIES: dict[str, type[Struct]] = {
    "LIVE_MODE_STATE_CHANGE": LiveState,
    "LIVE_TASK_BROADCAST": Offer,
    "LIVE_TASK_UNAVAILABLE": OfferClosed,
    "LIVE_BROADCAST_UPDATE": BroadcastUpdate,
    "TASK_STATUS_UPDATE": TaskStatus,
    "JOB_ASSIGNED": JobAssigned,
    "JOB_STARTED": JobStarted,
    "JOB_COMPLETED": JobCompleted,
    "PAYMENT_CAPTURED": PaymentCaptured,
    "JOB_CANCELLED": JobCancelled,
    "PRICE_CHANGED": PriceChanged,
    "PRICE_PROPOSAL": PriceProposal,
    "PROOF_REJECTED": ProofRejected,
    "EVIDENCE_ADDED": EvidenceAdded,
    "PAYMENT_REFUNDED": PaymentRefunded,
    "XP_AWARDED": XpAwarded,
    "BADGE_UNLOCKED": BadgeUnlocked,
    "TRUST_TIER_CHANGED": TrustTierChanged,
    "HUSTLER_LOCATION": HustlerLocation,
    "BROADCAST_RESPONSE": Outcome,
    "NUDGE": Nudge,
    "PONG": Pong,
    "ERROR": Problem,
    "WELCOME": Welcome,
    "RESYNC": Resync,
}


class Message(Struct, frozen=True):
    """One frame from the server; `seq` is set on durable events, `id` on replies."""

    type: str
    body: Body
    seq: int | None = None
    id: str | None = None


class _Envelope(Struct, frozen=True):
    """The outside of a frame; `data` stays undecoded until its type is known."""

    type: str
    id: str | None = None
    seq: int | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


_envelope = msgspec.json.Decoder(_Envelope)
_decoders = {name: msgspec.json.Decoder(body) for name, body in BODIES.items()}


def decode(frame: bytes | str) -> Message:
    """A frame as a typed message; `msgspec.DecodeError` when it breaks the contract.

    >>> decode('{"type": "RESYNC", "data": {"reason": "expired"}}').body
    Resync(reason='expired')
    """
    envelope = _envelope.decode(frame)
    body = _body(envelope.type, envelope.data)
    return Message(envelope.type, body, envelope.seq, envelope.id)


def event(kind: str, data: bytes | msgspec.Raw, seq: int) -> Message:
    """A durable event as the log tells it, as the message that the socket would have brought."""
    return Message(kind, _body(kind, data), seq)


def _body(kind: str, data: bytes | msgspec.Raw) -> Any:
    decoder = _decoders.get(kind)
    return Unknown(msgspec.json.decode(data)) if decoder is None else decoder.decode(data)

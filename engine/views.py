"""What the outside world sees, as typed values: the shapes of the contract.

Postgres builds them as JSON (`task_view`, `offer_cards`, …), `msgspec` decodes them, the gateway
encodes them again and generates OpenAPI and AsyncAPI from the same types.
Times are aware UTC datetimes, money integer cents, positions degrees, distances miles.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

Mode = Literal["STANDARD", "LIVE"]
TaskState = Literal[
    "OPEN",
    "MATCHING",
    "ACCEPTED",
    "WORKING",
    "PROOF_SUBMITTED",
    "DISPUTED",
    "COMPLETED",
    "CANCELLED",
    "EXPIRED",
]
EscrowState = Literal[
    "PENDING",
    "FUNDED",
    "LOCKED_DISPUTE",
    "RELEASED",
    "REFUNDED",
    "REFUND_PARTIAL",
    "CANCELLED",
]
BroadcastState = Literal["ACTIVE", "ACCEPTED", "EXPIRED", "CANCELLED"]
LiveState = Literal["OFF", "ACTIVE", "COOLDOWN", "PAUSED"]
TrustName = Literal["ROOKIE", "VERIFIED", "TRUSTED", "ELITE"]
ClosedReason = Literal["EXPIRED", "CLAIMED", "CANCELLED", "WITHDRAWN"]


class PlaceView(Struct, frozen=True, omit_defaults=True):
    """A place: exact (with `address`) for those who may see it, else the cell's centre."""

    lat: float
    lng: float
    address: str | None = None


class BroadcastView(Struct, frozen=True):
    """A task's newest broadcast."""

    id: UUID
    state: BroadcastState
    started_at: datetime
    expires_at: datetime
    radius_miles: float
    next_expansion_at: datetime | None
    hustlers_notified: int


class EscrowView(Struct, frozen=True, omit_defaults=True):
    """Held funds. `client_secret` appears where a payment must still be confirmed."""

    id: UUID
    state: EscrowState
    amount_cents: int
    client_secret: str | None = None


class ProposalView(Struct, frozen=True):
    """A wish for another price; once agreed, `escrow` is the replacement to be funded."""

    id: UUID
    task_id: UUID
    proposer_id: UUID
    price_cents: int
    state: Literal["OPEN", "AGREED", "DECLINED", "LAPSED", "APPLIED"]
    created_at: datetime
    escrow: EscrowView | None = None


class TaskView(Struct, frozen=True):
    """A task as one viewer may see it (contract, Task)."""

    id: UUID
    version: int
    mode: Mode
    state: TaskState
    title: str
    description: str
    category: str
    price_cents: int
    hustler_pay_cents: int
    location: PlaceView
    deadline: datetime | None
    requires_proof: bool
    min_photos: int
    estimated_minutes: int | None
    required_trade: str | None
    required_trust_tier: int
    insurance_required: bool
    background_check_required: bool
    poster_id: UUID
    assigned_hustler_id: UUID | None
    predecessor_id: UUID | None
    successor_id: UUID | None
    created_at: datetime
    accepted_at: datetime | None
    en_route_at: datetime | None
    eta_at: datetime | None
    arrived_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    broadcast: BroadcastView | None
    escrow: EscrowView | None
    replacement: EscrowView | UnsetType = UNSET
    """For the poster: waits for the payment of another price; POST …/fund pays it."""
    proposal: ProposalView | UnsetType = UNSET
    """For both sides: the price on the table, OPEN or AGREED and not paid yet."""
    code_generation: int | UnsetType = UNSET
    """Only inside the service: which generation of codes the poster's view shall show."""
    start_code: str | UnsetType = UNSET
    completion_code: str | UnsetType = UNSET


class UploadView(Struct, frozen=True):
    """An uploaded photo as it is kept; `bytes` is its size."""

    id: UUID
    content_type: Literal["image/jpeg", "image/png"]
    bytes: int


class PhotoView(Struct, frozen=True):
    """A photo of a proof: `GET /v1/photos/{id}` shows it. Where it was taken is never told."""

    id: UUID
    content_type: Literal["image/jpeg", "image/png"]
    bytes: int
    captured_at: datetime | None
    """What its file told; null when it told no moment, or one without a time zone."""
    captured_in_time: bool | None
    """Whether that lies between accept and submission, give or take 5 minutes; null: not told."""
    near_place: bool | None
    """Whether it was taken within 0.25 miles of the task; null when its file told no position."""


class ProofView(Struct, frozen=True):
    """One proof of a task."""

    id: UUID
    task_id: UUID
    kind: Literal["CODE", "PHOTOS", "NONE", "DECISION"]
    state: Literal["PENDING", "SUBMITTED", "ACCEPTED", "REJECTED", "EXPIRED"]
    submitted_at: datetime | None
    review_deadline: datetime | None
    """Unreviewed until then, the proof counts as accepted."""
    reviewed_at: datetime | None
    reject_reason: str | None
    started_by_code: bool
    """Whether the work began with the poster's start code, so that both have met."""
    photos: list[PhotoView]
    """In the order in which they were handed in."""


class EvidenceView(Struct, frozen=True):
    """What one side, or an admin, has to say in a dispute; photos at `/v1/photos/{id}`."""

    id: UUID
    submitted_by: UUID
    text: str
    photos: list[UUID]
    created_at: datetime


class DisputeView(Struct, frozen=True):
    """A dispute: the escrow is locked until an admin has decided."""

    id: UUID
    task_id: UUID
    opened_by: UUID | None
    side: Literal["POSTER", "HUSTLER", "ADMIN", "SYSTEM"]
    reason: str
    state: Literal["OPEN", "EVIDENCE_REQUESTED", "ESCALATED", "RESOLVED"]
    outcome: Literal["HUSTLER", "POSTER", "SPLIT"] | None
    release_cents: int | None
    """Of the held amount, the hustler's part before the fee."""
    refund_cents: int | None
    resolution: str | None
    opened_at: datetime
    evidence_due_at: datetime
    resolved_at: datetime | None
    evidence: list[EvidenceView]


class TransitionView(Struct, frozen=True, rename={"from_state": "from", "to_state": "to"}):
    """One row of a task's history."""

    from_state: TaskState | None
    to_state: TaskState
    actor_id: UUID | None
    reason: str | None
    at: datetime


class RoundedPlace(Struct, frozen=True):
    """The centre of the task's resolution-8 cell, and words for it.

    `place` is the town of the address, else the centre to a hundredth of a degree.
    """

    lat: float
    lng: float
    place: str | None = None


class OfferedTask(Struct, frozen=True):
    """The task on an offer card, place rounded."""

    id: UUID
    version: int
    title: str
    description: str
    category: str
    price_cents: int
    hustler_pay_cents: int
    location: RoundedPlace
    distance_miles: float
    deadline: datetime | None
    xp_multiplier: float


class PosterCard(Struct, frozen=True):
    """Who posted, as much as a hustler sees before accepting."""

    first_name: str
    trust_tier: int


class OfferCard(Struct, frozen=True):
    """An open offer: the data of LIVE_TASK_BROADCAST and an item of GET /v1/offers."""

    broadcast_id: UUID
    task: OfferedTask
    matching_score: float
    expires_at: datetime
    poster: PosterCard


class LiveView(Struct, frozen=True, omit_defaults=True):
    """A hustler's LIVE state."""

    state: LiveState
    reason: str | None = None
    ends_at: datetime | None = None
    session_id: UUID | None = None
    since: datetime | None = None
    radius_miles: float | None = None
    categories: list[str] | None = None


class Snapshot(Struct, frozen=True):
    """What WELCOME and GET /v1/snapshot carry about the user."""

    user_id: UUID
    server_time: datetime
    last_seq: int
    live: LiveView
    offers: list[OfferCard]
    tasks: list[TaskView]


class MeView(Struct, frozen=True):
    """GET /v1/me."""

    id: UUID
    role: Literal["poster", "hustler", "dual", "admin"]
    first_name: str
    account_status: Literal["ACTIVE", "PAUSED", "SUSPENDED"]
    trust_tier: int
    trust_points: float
    total_xp: int
    level: int
    level_title: str
    streak_days: int
    """0 once the streak is lost."""
    time_zone: str
    live: LiveView


class CriterionView(Struct, frozen=True):
    """What a tier asks for and where one stands; rates are 0..1, flags count as 1."""

    criterion: Literal["COMPLETED_TASKS", "APPROVAL_RATE", "IDENTITY_VERIFIED", "INSURANCE_VALID"]
    required: float
    reached: float
    is_met: bool


class NextTierView(Struct, frozen=True):
    """The tier above the caller's own."""

    tier: int
    name: TrustName
    criteria: list[CriterionView]


class BadgeView(Struct, frozen=True):
    """A badge; its unlock animation is due while `animation_shown_at` is null."""

    id: UUID
    badge_type: str
    title: str
    granted_at: datetime
    animation_shown_at: datetime | None


class AwardView(Struct, frozen=True):
    """XP for one task, with what it was multiplied by; `total_xp` and `level` are those after it."""

    task_id: UUID
    xp: int
    base_xp: int
    streak_multiplier: float
    trust_multiplier: float
    live_multiplier: float
    total_xp: int
    level: int
    streak_days: int
    at: datetime


class LiveRecordView(Struct, frozen=True):
    """The LIVE record (product_spec §3.6): shares 0..1, null before there is anything to share."""

    total_live_tasks: int
    live_completion_rate: float | None
    average_response_time_seconds: float | None
    average_eta_accuracy: float | None
    live_earnings_total: int
    """Cents, after the fee."""
    no_responses: int


class ProgressView(Struct, frozen=True):
    """GET /v1/me/progress."""

    total_xp: int
    level: int
    level_title: str
    next_level_xp: int | None
    """Total XP at which the next level begins; null on the highest."""
    streak_days: int
    streak_ends_at: datetime | None
    """The last instant at which a completion continues the streak."""
    time_zone: str
    trust_tier: int
    trust_name: TrustName
    trust_points: float
    next_tier: NextTierView | None
    badges: list[BadgeView]
    recent_awards: list[AwardView]
    """The newest 20, newest first."""
    live_record: LiveRecordView


class UserEvent(Struct, frozen=True):
    """One durable event: `seq` is gap-free per `user_id`; `data` is the message's data."""

    user_id: UUID
    seq: int
    type: str
    data: dict[str, Any]
    at: datetime


class Page(Struct, frozen=True):
    """One page of tasks."""

    items: list[TaskView]
    next_cursor: str | None

"""What the server may say on the WebSocket: the data of each type, and which types are durable.

Times are aware UTC datetimes, positions degrees, distances miles, money integer cents.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from broadcast.ports import BroadcastUpdate
from engine.kernel.applied import ClosedReason
from engine.kernel.states import TaskState
from engine.live.views import LiveState, LiveView, OfferCard
from engine.progress.views import TrustName
from engine.tasks.views import TaskView
from gateway.contract import limits
from gateway.contract.map import City
from gateway.contract.problems import ErrorData

PROTOCOL: Final = 1

OfferOutcome = Literal["WON", "TAKEN", "EXPIRED", "DECLINED", "SKIPPED"]


class Welcome(Struct, frozen=True, kw_only=True):
    """The session is open; cards in `offers` count as shown."""

    protocol: int = PROTOCOL
    session_id: UUID
    user_id: UUID
    heartbeat_seconds: int = int(limits.HEARTBEAT_S)
    server_time: datetime
    last_seq: int
    live: LiveView
    offers: list[OfferCard]
    tasks: list[TaskView]


class Resync(Struct, frozen=True):
    """The log cannot continue from the client's `last_seq`: forget it and take WELCOME's."""

    reason: Literal["AHEAD", "TOO_OLD"]


class Pong(Struct, frozen=True):
    """Answer to PING; a client whose own last_seq is lower has missed something."""

    timestamp: datetime
    last_seq: int


class Unavailable(Struct, frozen=True):
    """A card leaves the screen."""

    broadcast_id: UUID
    task_id: UUID
    reason: ClosedReason


class LiveModeChange(Struct, frozen=True, omit_defaults=True):
    """The caller's LIVE state."""

    state: LiveState
    reason: str | None = None
    """ACCEPTS, FATIGUE or ADMIN for COOLDOWN; DECLINES, COMPLETION_RATE or QUICK_RELEASES for PAUSED;
    BANNED or the end of the session for OFF."""
    ends_at: datetime | None = None
    """When time ends the state; absent for BANNED: not before an admin lifts the ban."""


class TaskStatus(Struct, frozen=True, omit_defaults=True):
    """A task's state; `arrived_at` from the hustler's arrival on."""

    task_id: UUID
    state: TaskState
    updated_at: datetime
    arrived_at: datetime | None = None


class BroadcastResponse(Struct, frozen=True):
    """The outcome of RESPOND_TO_BROADCAST; the task for the winner."""

    broadcast_id: UUID
    outcome: OfferOutcome
    task: TaskView | UnsetType = UNSET


class JobAssigned(Struct, frozen=True):
    """A hustler accepted; the poster also learns the start code."""

    task_id: UUID
    status: Literal["SCHEDULED"]
    hustler_id: UUID
    eta_minutes: int | None = None
    start_code: str | UnsetType = UNSET


class JobStarted(Struct, frozen=True):
    """Work began."""

    task_id: UUID
    status: Literal["IN_PROGRESS"]
    started_at: datetime


class JobCompleted(Struct, frozen=True):
    """The hustler handed in the proof."""

    task_id: UUID
    status: Literal["COMPLETED_BY_HUSTLER"]


class PaymentCaptured(Struct, frozen=True):
    """The money reached the hustler."""

    task_id: UUID
    status: Literal["PAID"]
    payment_id: str


class JobCancelled(Struct, frozen=True):
    """The task ended without work; `successor_id` names the task that took its escrow."""

    task_id: UUID
    status: Literal["CANCELLED"]
    reason: str | None
    successor_id: UUID | UnsetType | None = UNSET
    note: str | UnsetType = UNSET
    """What whoever ended it said."""


class XpAwarded(Struct, frozen=True):
    """The money reached the hustler, and XP with it; totals are those after the award."""

    task_id: UUID
    xp: int
    total_xp: int
    level: int
    level_title: str
    streak_days: int


class BadgeUnlocked(Struct, frozen=True):
    """A new badge; POST /v1/me/badges/{badge_id}/shown when its animation was played."""

    badge_id: UUID
    badge_type: str
    title: str


class TrustTierChanged(Struct, frozen=True):
    """The caller's trust tier, and why it changed."""

    tier: int
    name: TrustName
    reason: Literal["PROMOTION", "DECAY", "PENALTY", "ADMIN_OVERRIDE"]


class ShownLocation(Struct, frozen=True):
    """Degrees."""

    lat: float
    lng: float


class TokenExpiring(Struct, frozen=True):
    """The session ends with its token, at this time, unless AUTH brings a fresh one of the same user."""

    expires_at: datetime


class HustlerLocation(Struct, frozen=True):
    """Where the hustler is, for the poster, only while ACCEPTED; not durable."""

    task_id: UUID
    location: ShownLocation
    eta_minutes: int


class PriceChanged(Struct, frozen=True):
    """Both sides agreed on another price; `payment_intent_updated` once it is paid and holds."""

    task_id: UUID
    new_amount_cents: int
    payment_intent_updated: bool


class PriceProposal(Struct, frozen=True):
    """A price was proposed, agreed to, declined, applied, or lapsed; for both sides."""

    task_id: UUID
    proposal_id: UUID
    proposer_id: UUID
    price_cents: int
    state: Literal["OPEN", "AGREED", "DECLINED", "LAPSED", "APPLIED"]


class ProofRejected(Struct, frozen=True):
    """The poster turned the proof down; with none left it is a dispute. For the hustler."""

    task_id: UUID
    proof_id: UUID
    reason: str
    rejections_left: int


class EvidenceAdded(Struct, frozen=True):
    """Somebody added evidence to the task's dispute; GET …/dispute shows it. For both sides."""

    task_id: UUID
    dispute_id: UUID
    evidence_id: UUID
    side: Literal["POSTER", "HUSTLER", "ADMIN"]


class PaymentRefunded(Struct, frozen=True):
    """Money went back to the poster."""

    task_id: UUID
    amount_cents: int
    refund_id: str


class Nudge(Struct, frozen=True):
    """Advice."""

    kind: str
    text: str
    task_id: UUID | UnsetType | None = UNSET


SERVER_MESSAGES: Final[Mapping[str, type[Struct]]] = {
    "WELCOME": Welcome,
    "RESYNC": Resync,
    "TOKEN_EXPIRING": TokenExpiring,
    "PONG": Pong,
    "LIVE_TASK_BROADCAST": OfferCard,
    "LIVE_TASK_UNAVAILABLE": Unavailable,
    "LIVE_BROADCAST_UPDATE": BroadcastUpdate,
    "LIVE_MODE_STATE_CHANGE": LiveModeChange,
    "BROADCAST_RESPONSE": BroadcastResponse,
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
    "NUDGE": Nudge,
    "CITY": City,
    "ERROR": ErrorData,
}
"""Type → data of everything the server may send."""

DURABLE: Final = frozenset(
    {
        "LIVE_BROADCAST_UPDATE",
        "LIVE_MODE_STATE_CHANGE",
        "TASK_STATUS_UPDATE",
        "JOB_ASSIGNED",
        "JOB_STARTED",
        "JOB_COMPLETED",
        "PAYMENT_CAPTURED",
        "JOB_CANCELLED",
        "PRICE_CHANGED",
        "PRICE_PROPOSAL",
        "PROOF_REJECTED",
        "EVIDENCE_ADDED",
        "PAYMENT_REFUNDED",
        "XP_AWARDED",
        "BADGE_UNLOCKED",
        "TRUST_TIER_CHANGED",
        "NUDGE",
    }
)
"""Types that live in the event log: with `seq` when they come from there.

LIVE_BROADCAST_UPDATE and LIVE_MODE_STATE_CHANGE also come without: between two durable ones, and as
the answer to a request.
"""

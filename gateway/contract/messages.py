"""The closed vocabulary of the WebSocket: every message of the client and of the server.

Envelope `{"type", "id"?, "seq"?, "data"?}` (contract, WebSocket).
What a client sends is parsed once, strictly: unknown types and fields are refused, every number and
every length has a bound.  What the server sends is encoded once, however many receive it.
Times are aware UTC datetimes, positions degrees, distances miles, money integer cents.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
import structlog
from msgspec import UNSET, Meta, Struct, UnsetType

from broadcast.ports import BroadcastUpdate
from engine.kernel import errors
from engine.views import (
    ClosedReason,
    LiveState,
    LiveView,
    OfferCard,
    TaskState,
    TaskView,
    TrustName,
)
from gateway.contract import encoding, field_errors, limits
from gateway.contract.fields import (
    MAX_SEQ,
    AccuracyM,
    Category,
    Instant,
    Latitude,
    Longitude,
    OfferResponse,
    RadiusMiles,
    Reason,
    Seq,
    Token,
)
from gateway.contract.problems import ErrorData

log = structlog.get_logger(__name__)

PROTOCOL: Final = 1

Reference = Annotated[str, Meta(max_length=64)] | Annotated[int, Meta(ge=0, le=MAX_SEQ)]
"""The client's own name for a request; the reply repeats it."""
OfferOutcome = Literal["WON", "TAKEN", "EXPIRED", "DECLINED", "SKIPPED"]

# ── What a client says ───────────────────────────────────────────────────────────────────────────


class Incoming(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """The envelope of every client message."""

    id: Reference | None = None


class Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The data of a client message: a field nobody knows is refused."""


class Nothing(Strict, frozen=True):
    """No data."""


class Location(Strict, frozen=True):
    """A position as the device measured it: degrees, accuracy in metres."""

    lat: Latitude
    lng: Longitude
    accuracy_m: AccuracyM | None = None


class Credentials(Strict, frozen=True):
    """`token` may be absent when the handshake carried the Authorization header."""

    token: Token | None = None
    last_seq: Seq | None = None


class GoLive(Strict, frozen=True):
    """Where the hustler is and, if wanted, own limits in miles and categories.

    `at` is when the device measured it, absent means now: without it a device whose fixes carry
    older times could never move after going live.  Absent categories mean all; an empty list, which
    would mean none, is refused.
    """

    location: Location
    at: Instant | None = None
    radius_miles: RadiusMiles | None = None
    categories: Annotated[list[Category], Meta(min_length=1, max_length=32)] | None = None


class Moved(Strict, frozen=True):
    """A new position; `at` is when the device measured it, absent means now."""

    location: Location
    at: Instant | None = None


class Answer(Strict, frozen=True):
    """The hustler's answer to one card."""

    broadcast_id: UUID
    response: OfferResponse
    decline_reason: Reason | None = None


class TaskReference(Strict, frozen=True):
    """Which task."""

    task_id: UUID


class Position(Strict, frozen=True):
    """The last durable event the client has kept."""

    seq: Seq


class Auth(Incoming, frozen=True, tag="AUTH"):
    """First message of a socket; again later to refresh the token."""

    data: Credentials = Credentials()


class Ping(Incoming, frozen=True, tag="PING"):
    """Heartbeat."""

    data: Nothing | None = None


class SubscribeLiveMode(Incoming, frozen=True, tag="SUBSCRIBE_LIVE_MODE"):
    """Switch LIVE mode on; this socket becomes the source of the position."""

    data: GoLive


class UnsubscribeLiveMode(Incoming, frozen=True, tag="UNSUBSCRIBE_LIVE_MODE"):
    """Switch LIVE mode off."""

    data: Nothing | None = None


class UpdateLocation(Incoming, frozen=True, tag="UPDATE_LOCATION"):
    """The hustler moved; nothing answers a good fix."""

    data: Moved


class RespondToBroadcast(Incoming, frozen=True, tag="RESPOND_TO_BROADCAST"):
    """Accept, decline or skip an offer."""

    data: Answer


class SubscribeTask(Incoming, frozen=True, tag="SUBSCRIBE_TASK"):
    """Hear of every step of a task the caller may see."""

    data: TaskReference


class UnsubscribeTask(Incoming, frozen=True, tag="UNSUBSCRIBE_TASK"):
    """Hear no more of a task (durable events of one's own tasks still come)."""

    data: TaskReference


class Ack(Incoming, frozen=True, tag="ACK"):
    """Events up to `seq` are kept by the client."""

    data: Position


class SubscribeCity(Incoming, frozen=True, tag="SUBSCRIBE_CITY"):
    """The map of everything; role admin only."""

    data: Nothing | None = None


class UnsubscribeCity(Incoming, frozen=True, tag="UNSUBSCRIBE_CITY"):
    """No more CITY frames."""

    data: Nothing | None = None


ClientMessage = (
    Auth
    | Ping
    | SubscribeLiveMode
    | UnsubscribeLiveMode
    | UpdateLocation
    | RespondToBroadcast
    | SubscribeTask
    | UnsubscribeTask
    | Ack
    | SubscribeCity
    | UnsubscribeCity
)

# ── What the server says ─────────────────────────────────────────────────────────────────────────


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
    """When time ends the state; absent for BANNED: not before an operator lifts the ban."""


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


class Point(Struct, frozen=True):
    """Degrees."""

    lat: float
    lng: float


class HustlerLocation(Struct, frozen=True):
    """Where the hustler is, for the poster, only while ACCEPTED; not durable."""

    task_id: UUID
    location: Point
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


class CityTask(Struct, frozen=True, omit_defaults=True):
    """A running task on the map.

    `radius_miles` is the broadcast's present radius while MATCHING, `initial_radius_miles` its first.
    `hustler` is [lat, lng] of whoever holds the task, when known, and `hustler_name` the first name.
    """

    id: UUID
    state: TaskState
    lat: float
    lng: float
    price_cents: int
    title: str
    radius_miles: float | None = None
    hustlers_notified: int = 0
    started_at: datetime | None = None
    expires_at: datetime | None = None
    hustler: tuple[float, float] | None = None
    hustler_name: str | None = None
    initial_radius_miles: float | None = None


class CityStats(Struct, frozen=True):
    """Figures of the whole city, seconds where named so, `today` = UTC day of the database clock."""

    sessions: int
    """Open WebSocket sessions, observers included."""
    live: int
    """Hustlers in LIVE mode whose position is known."""
    matching: int
    """Tasks being broadcast."""
    en_route: int
    """Tasks in ACCEPTED."""
    working: int
    """Tasks in WORKING or PROOF_SUBMITTED."""
    offers_today: int
    accepted_today: int
    paid_today: int
    no_accept_today: int
    median_time_to_accept_s: float | None
    p95_time_to_accept_s: float | None
    median_first_card_s: float | None
    """Machinery's share: funded → first card."""
    median_human_s: float | None
    """People's share: card → accept."""


CITY_STATE: Final[Mapping[str, int]] = {"ACTIVE": 0, "EN_ROUTE": 1, "WORKING": 2}
"""The third number of a hustler in CITY."""


class City(Struct, frozen=True):
    """The map: at most two frames a second, the whole picture each time.

    `hustlers` holds [lat, lng, state] with state 0 ACTIVE (waits for offers), 1 EN_ROUTE,
    2 WORKING; degrees rounded to 5 decimals.
    `pace` says how many times as fast as life the people of a simulated city live; null: people.
    """

    at: datetime
    hustlers: list[tuple[float, float, int]]
    tasks: list[CityTask]
    stats: CityStats
    pace: float | None = None


SERVER_MESSAGES: Final[Mapping[str, type[Struct]]] = {
    "WELCOME": Welcome,
    "RESYNC": Resync,
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


def logged(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """The data of a durable event as its type has it, times as datetimes.

    The log keeps JSON of PostgreSQL, which writes times and numbers in forms of its own. What
    another version logged, in a shape that is none of ours, is told as it stands: one such row must
    not keep its user from all that follow.
    """
    shape = SERVER_MESSAGES.get(kind, dict[str, Any])
    try:
        told = msgspec.to_builtins(msgspec.convert(data, shape), builtin_types=(datetime, UUID))
    except msgspec.ValidationError as misfit:
        log.warning("event_of_another_shape", type=kind, why=str(misfit))
        return data
    assert isinstance(told, dict)
    return told


class Envelope(Struct, frozen=True, omit_defaults=True):
    """The envelope of every server message."""

    type: str
    id: Reference | None = None
    seq: int | None = None
    data: Any = None


class _Referenced(Struct, frozen=True):
    id: Reference | None = None


_client: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_reference = msgspec.json.Decoder(_Referenced)


def parse(raw: str | bytes) -> ClientMessage:
    """The message in a frame; VALIDATION_ERROR for anything outside the vocabulary."""
    try:
        return _client.decode(raw)
    except msgspec.ValidationError:
        raise _misfit(raw) from None
    except (ValueError, RecursionError):
        raise _not_json() from None


def _misfit(raw: str | bytes) -> errors.Refusal:
    """Why a message does not fit: every field that is wrong."""
    try:
        return field_errors.refusal(msgspec.json.decode(raw), ClientMessage)
    except RecursionError:
        return errors.invalid_field("", "is nested too deeply")
    except msgspec.ValidationError:
        return errors.invalid_field("", "holds a number that is out of range")
    except ValueError:
        return _not_json()


def _not_json() -> errors.Refusal:
    return errors.refusal("VALIDATION_ERROR", message="The message is not JSON.")


def reference_of(raw: str | bytes) -> Reference | None:
    """The `id` of a message that was refused, so that its ERROR can name it."""
    try:
        return _reference.decode(raw).id
    except (ValueError, RecursionError):
        return None


def encode(
    kind: str, data: object = None, *, ref: Reference | None = None, seq: int | None = None
) -> bytes:
    """One server message as JSON text in UTF-8."""
    return encoding.encode(Envelope(kind, ref, seq, data))

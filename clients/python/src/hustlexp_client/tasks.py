"""The parts of a task on the wire: place, money, broadcast, price proposal, offer card.

Shared by WELCOME, BROADCAST_RESPONSE and the REST answers. Times are aware UTC datetimes, money
integer cents, positions degrees, distances miles.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

Mode = Literal["LIVE", "STANDARD"]
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
BroadcastState = Literal["ACTIVE", "ACCEPTED", "CANCELLED", "EXPIRED"]
EscrowState = Literal[
    "PENDING",
    "FUNDED",
    "LOCKED_DISPUTE",
    "RELEASED",
    "REFUNDED",
    "REFUND_PARTIAL",
    "CANCELLED",
]
ProposalState = Literal["OPEN", "AGREED", "DECLINED", "LAPSED", "APPLIED"]


class Point(Struct, frozen=True):
    """A position in degrees."""

    lat: float
    lng: float


class Place(Struct, frozen=True):
    """An exact position, with its address for those who may see it."""

    lat: float
    lng: float
    address: str | None = None


class RoundedLocation(Struct, frozen=True):
    """A position rounded to a neighbourhood, with words for it."""

    lat: float
    lng: float
    place: str | None = None


class Escrow(Struct, frozen=True):
    """Money held for a task; `client_secret` only where a payment must still be confirmed."""

    id: UUID
    state: EscrowState
    amount_cents: int
    client_secret: str | None = None


class Proposal(Struct, frozen=True):
    """A proposed price; once agreed to, `escrow` waits for the poster's payment."""

    id: UUID
    task_id: UUID
    proposer_id: UUID
    price_cents: int
    state: ProposalState
    created_at: datetime
    escrow: Escrow | None = None


class Broadcast(Struct, frozen=True):
    """A task's broadcast: how far it has grown, whom it reached, when it ends."""

    id: UUID
    state: BroadcastState
    started_at: datetime
    expires_at: datetime
    radius_miles: float
    next_expansion_at: datetime | None
    hustlers_notified: int


class HeldTask(Struct, frozen=True):
    """A task as WELCOME or a REST call shows it to one of its parties.

    `replacement` waits for the poster's payment of another price, `proposal` for an answer or for
    that payment. Codes, and the generation they are of, only in the poster's own view.
    """

    id: UUID
    version: int
    mode: Mode
    state: TaskState
    title: str
    description: str
    category: str
    price_cents: int
    hustler_pay_cents: int
    location: Place
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
    broadcast: Broadcast | None
    escrow: Escrow | None
    replacement: Escrow | None = None
    proposal: Proposal | None = None
    code_generation: int | None = None
    start_code: str | None = None
    completion_code: str | None = None


class OfferedTask(Struct, frozen=True):
    """The task on an offer card."""

    id: UUID
    version: int
    title: str
    description: str
    category: str
    price_cents: int
    hustler_pay_cents: int
    location: RoundedLocation
    distance_miles: float
    deadline: datetime | None
    xp_multiplier: float


class Poster(Struct, frozen=True):
    """The poster, as much as a hustler sees before accepting."""

    first_name: str
    trust_tier: int


class Offer(Struct, frozen=True):
    """LIVE_TASK_BROADCAST: an open offer; answer it with `Session.respond`."""

    broadcast_id: UUID
    task: OfferedTask
    matching_score: float
    expires_at: datetime
    poster: Poster

"""What a task looks like from outside: degrees, cents, UTC."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from engine.kernel.states import Mode, TaskState
from engine.live.views import BroadcastView
from engine.money.views import EscrowView
from engine.pricing.views import ProposalView


class LocationView(Struct, frozen=True, omit_defaults=True):
    """A place: exact (with `address`) for those who may see it, else the cell's centre."""

    lat: float
    lng: float
    address: str | None = None


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
    location: LocationView
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


class TransitionView(Struct, frozen=True, rename={"from_state": "from", "to_state": "to"}):
    """One row of a task's history."""

    from_state: TaskState | None
    to_state: TaskState
    actor_id: UUID | None
    reason: str | None
    at: datetime


class Page(Struct, frozen=True):
    """One page of tasks."""

    items: list[TaskView]
    next_cursor: str | None

"""What operators may send. Every command carries a reason, which stays on record."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.desk import LiveAct, Outcome
from engine.desk_views import (
    ChargebackState,
    DisputeState,
    ItemState,
    SettlementState,
    StuckKind,
)
from engine.money.provider import LegKind
from gateway.http.requests import MAX_PAGE, Cents, Cursor, Instant, Sent, Text

Kind = Annotated[str, Meta(pattern=r"^[A-Z_]{1,60}$")]
TargetType = Annotated[str, Meta(pattern=r"^[a-z_]{1,60}$")]
Id = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Reference = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE)]


class Why(Sent, frozen=True):
    """The body of a command that needs nothing but its reason."""

    reason: Text


class Decision(Sent, frozen=True):
    """POST …/resolve; `release_cents`, the hustler's part before the fee, goes with SPLIT."""

    outcome: Outcome
    reason: Text
    release_cents: Cents | None = None

    def __post_init__(self) -> None:
        if (self.outcome == "SPLIT") != (self.release_cents is not None):
            raise ValueError("release_cents belongs to SPLIT, and to nothing else")


class LegDone(Sent, frozen=True):
    """POST …/book-leg: what a person carried out at the provider, by the provider's name for it."""

    leg: LegKind
    reference: Reference
    reason: Text


class LiveBan(Sent, frozen=True):
    """POST …/live-ban; `until` null lifts a ban."""

    until: Instant | None
    reason: Text

    def __post_init__(self) -> None:
        if self.until is not None and not 2000 <= self.until.year < 9999:
            raise ValueError("A ban ends between now and ten years from now")


class LiveOverride(Sent, frozen=True):
    """POST …/live; `until`, at most seven days ahead, goes with SET_COOLDOWN."""

    act: LiveAct
    reason: Text
    until: Instant | None = None

    def __post_init__(self) -> None:
        if (self.act == "SET_COOLDOWN") != (self.until is not None):
            raise ValueError("until belongs to SET_COOLDOWN, and to nothing else")
        if self.until is not None and not 2000 <= self.until.year < 9999:
            raise ValueError("A cooldown ends between now and seven days from now")


class PayoutAccount(Sent, frozen=True):
    """POST …/payout-account."""

    account_id: Reference
    reason: Text
    payouts_enabled: bool = True


class TrustTier(Sent, frozen=True):
    """POST …/trust-tier."""

    tier: Annotated[int, Meta(ge=1, le=4)]
    reason: Text


class BadgeGrant(Sent, frozen=True):
    """POST …/badges."""

    badge_type: Annotated[str, Meta(pattern=r"^[A-Z0-9_]{1,60}$")]
    reason: Text


class ItemsQuery(Sent, frozen=True):
    """GET /v1/admin/items?kind&state&cursor&limit."""

    kind: Kind | None = None
    state: ItemState = "OPEN"
    cursor: Cursor | None = None
    limit: Limit = 20


class SettlementsQuery(Sent, frozen=True):
    """GET /v1/admin/settlements and /v1/admin/late-payments ?state&cursor&limit."""

    state: SettlementState | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class ChargebacksQuery(Sent, frozen=True):
    """GET /v1/admin/chargebacks?state."""

    state: ChargebackState | None = None


class DisputesQuery(Sent, frozen=True):
    """GET /v1/admin/disputes?state&cursor&limit; UNRESOLVED is every state but RESOLVED."""

    state: DisputeState | Literal["UNRESOLVED"] = "UNRESOLVED"
    cursor: Cursor | None = None
    limit: Limit = 20


class StuckQuery(Sent, frozen=True):
    """GET /v1/admin/tasks/stuck?kind&cursor&limit."""

    kind: StuckKind | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class ActionsQuery(Sent, frozen=True):
    """GET /v1/admin/actions?target_type&target_id&cursor&limit."""

    target_type: TargetType | None = None
    target_id: Id | None = None
    cursor: Cursor | None = None
    limit: Limit = 20

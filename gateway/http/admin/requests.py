"""What operators may send. Every command carries a reason, which stays on record."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.admin.commands import LiveAct, Outcome
from engine.admin.views import ChargebackState, DisputeState, ItemState, SettlementState, StuckKind
from engine.money.provider import LegKind
from gateway.contract.fields import Cents, Cursor, FieldRefused, Instant, Limit, Text
from gateway.http.requests import Sent


def _name(characters: str, at_most: int, description: str) -> Meta:
    """A name of these characters; no new line behind it."""
    return Meta(pattern=rf"^[{characters}]{{1,{at_most}}}(?![\s\S])", description=description)


Kind = Annotated[str, _name("A-Z_", 60, "1 to 60 capital letters and underscores")]
TargetType = Annotated[str, _name("a-z_", 60, "1 to 60 small letters and underscores")]
Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*(?![\s\S])",
        description="an id of 1 to 200 characters",
    ),
]
Reference = Annotated[
    str, _name("A-Za-z0-9_-", 255, "1 to 255 letters, digits, underscores and hyphens")
]
BadgeType = Annotated[str, _name("A-Z0-9_", 60, "1 to 60 capital letters, digits and underscores")]


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
            raise FieldRefused("release_cents", "belongs to SPLIT, and to nothing else")


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
        self._in_utc("until", self.until)


class LiveOverride(Sent, frozen=True):
    """POST …/live; `until`, at most seven days ahead, goes with SET_COOLDOWN."""

    act: LiveAct
    reason: Text
    until: Instant | None = None

    def __post_init__(self) -> None:
        if (self.act == "SET_COOLDOWN") != (self.until is not None):
            raise FieldRefused("until", "belongs to SET_COOLDOWN, and to nothing else")
        self._in_utc("until", self.until)


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

    badge_type: BadgeType
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

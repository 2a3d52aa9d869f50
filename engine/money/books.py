"""The port to the provider's books: its events and movements since some time.

Only a provider with real books implements it; the simulated one has nothing to be compared with.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from msgspec import Struct

from engine.money.facts import Fact
from engine.money.provider import MovementKind, MovementState


class ProviderEvent(Struct, frozen=True):
    """One event of the provider's, whether or not its webhook reached us."""

    event_id: str
    event_type: str
    fact: Fact


class ProviderMovement(Struct, frozen=True):
    """One movement in the provider's books."""

    kind: MovementKind
    reference: str
    state: MovementState
    amount_cents: int
    at: datetime
    escrow_id: str | None = None
    settlement_id: str | None = None
    payment: str | None = None
    """Of a refund: the payment that was given back."""


class ProviderBooks(Protocol):
    """The provider's own records; each method raises PaymentFailed when it does not answer."""

    async def events_since(self, since: datetime) -> list[ProviderEvent]:
        """Returns every event since then that may concern us, oldest first."""

    async def movements_since(self, since: datetime) -> list[ProviderMovement]:
        """Returns every movement begun since then, by us or by others on the account."""

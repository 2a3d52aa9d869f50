"""The provider's books: what it has told, and what it has moved, since some time.

Only a provider with real books has them; the simulated one has nothing to be compared with.
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
    """Both methods raise PaymentFailed when the provider does not answer."""

    async def events_since(self, since: datetime) -> list[ProviderEvent]:
        """Every event since then that may concern us, oldest first."""

    async def movements_since(self, since: datetime) -> list[ProviderMovement]:
        """Every movement that began since then, whoever asked for it."""

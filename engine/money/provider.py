"""The payments port: what the marketplace asks of whoever moves the money.

No call is ever made inside a database transaction; every call carries an idempotency key made from
our own row, so that repeating it after a crash moves nothing twice (design §2, Money).
"""

from __future__ import annotations

from typing import Final, Literal, Protocol
from uuid import UUID

from msgspec import Struct

PROVIDER_TIMEOUT_S: Final = 20.0
"""A call that has not answered by then counts as failed; its key makes repeating it safe."""

MovementKind = Literal["PAYMENT", "TRANSFER", "REFUND"]


class PaymentFailed(Exception):
    """The provider did not do it for now; the call may be repeated under the same key."""


class PaymentRefused(PaymentFailed):
    """Repeating the call will not help: the poster, the hustler or an operator has to act."""


class Movement(Struct, frozen=True):
    """Money on its way: the provider's name for it and how far it is."""

    reference: str
    state: Literal["SUCCEEDED", "PENDING", "FAILED"]
    client_secret: str | None = None
    """With this the poster's app confirms a payment that is PENDING."""
    note: str | None = None
    """Why it failed, in the provider's words."""


class PaymentProvider(Protocol):
    """Charge the poster, pay the hustler, give back, and say how something stands."""

    async def charge(self, key: UUID, amount_cents: int, poster: UUID) -> Movement:
        """Take `amount_cents` from the poster, for the escrow `key`."""

    async def transfer(
        self, key: UUID, account: str | None, hustler: UUID, amount_cents: int
    ) -> Movement:
        """Pay `amount_cents` to the hustler's account, for the settlement `key`."""

    async def refund(self, key: UUID, payment: str, amount_cents: int) -> Movement:
        """Give `amount_cents` of a payment back, for the settlement `key`."""

    async def look_up(self, kind: MovementKind, reference: str) -> Movement:
        """How a movement stands now."""

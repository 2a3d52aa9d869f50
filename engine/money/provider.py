"""The payments port: what the marketplace asks of whoever moves the money.

No call is ever made inside a database transaction; every call carries an idempotency key made from
our own row, so that repeating it after a crash moves nothing twice (design §2, Money).
"""

from __future__ import annotations

from typing import Final, Protocol
from uuid import UUID

PROVIDER_TIMEOUT_S: Final = 20.0
"""A call that has not answered by then counts as failed; its key makes repeating it safe."""


class PaymentFailed(Exception):
    """The provider refused or did not answer; the call may be repeated under the same key."""


class PaymentProvider(Protocol):
    """Charge the poster, pay the hustler, give back."""

    async def charge(self, key: UUID, amount_cents: int) -> str:
        """Take `amount_cents` from the poster; the payment's reference."""

    async def transfer(self, key: UUID, hustler: UUID, amount_cents: int) -> str:
        """Pay `amount_cents` to the hustler; the transfer's reference."""

    async def refund(self, key: UUID, payment: str, amount_cents: int) -> str:
        """Give `amount_cents` of a payment back; the refund's reference."""

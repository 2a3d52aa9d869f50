"""The payments port: charges, transfers, refunds and their states at a payment provider.

No call is ever made inside a database transaction; every call carries an idempotency key made from
our own row, so that repeating it after a crash moves nothing twice (design §2, Money).
"""

from __future__ import annotations

from typing import Final, Literal, Protocol
from uuid import UUID

from msgspec import Struct

PROVIDER_TIMEOUT_S: Final = 20.0
"""A call that has not answered by then counts as failed; its key makes repeating it safe."""
PROVIDER_CALLS_AT_ONCE: Final = 8
"""Of one loop: a slow call keeps one of them, and the others go on."""

LegKind = Literal["TRANSFER", "REFUND"]
"""A movement out of an escrow: one leg of its settlement."""
MovementKind = Literal["PAYMENT", "TRANSFER", "REFUND"]
MovementState = Literal["SUCCEEDED", "PENDING", "FAILED"]


class Movement(Struct, frozen=True):
    """Money that the provider moves, has moved, or has given up on."""

    reference: str
    """The provider's id of it."""
    state: MovementState
    client_secret: str | None = None
    """For a pending payment: with it the poster's app confirms the payment at the provider."""
    note: str | None = None
    """Why it failed, or what it waits for."""
    unknown_status: str | None = None
    """The provider's own word for where a PENDING movement stands, if we do not know it."""


class PaymentFailed(Exception):
    """The provider did not answer, or cannot now; the call may be repeated under the same key."""


class PaymentRefused(PaymentFailed):
    """The provider refuses the call, and repeating it would not change that."""


class PaymentProvider(Protocol):
    """Charges posters, pays hustlers, refunds, and looks up the state of each movement.

    Amounts are whole cents. A repeated key is answered with the same movement in its present
    state. Every method raises PaymentFailed, or PaymentRefused where a repetition is useless.
    """

    async def charge(
        self, key: UUID, amount_cents: int, poster: UUID, *, begun: str | None = None
    ) -> Movement:
        """Charges the price to the poster and returns the movement; `key` is the escrow.

        `begun` is the payment that an earlier call began, as far as we know: it goes on,
        even after the provider has forgotten the key.
        """

    async def transfer(
        self,
        key: UUID,
        account: str | None,
        hustler: UUID,
        amount_cents: int,
        *,
        escrow: UUID,
        payment: str | None,
    ) -> Movement:
        """Transfers money of an escrow's payment to the hustler; `key` is the settlement."""

    async def refund(self, key: UUID, payment: str, amount_cents: int, *, escrow: UUID) -> Movement:
        """Refunds a part of a payment, or all of it; `key` is the settlement."""

    async def look_up(self, kind: MovementKind, reference: str) -> Movement:
        """Returns a movement in its present state."""

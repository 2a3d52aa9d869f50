"""What money looks like from outside; amounts are integer cents."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from engine.kernel.states import EscrowState


class EscrowView(Struct, frozen=True, omit_defaults=True):
    """Held funds. `client_secret` appears where a payment must still be confirmed."""

    id: UUID
    state: EscrowState
    amount_cents: int
    client_secret: str | None = None

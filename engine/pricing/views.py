"""What a price proposal looks like from outside; amounts are integer cents."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from engine.money.views import EscrowView


class ProposalView(Struct, frozen=True):
    """A wish for another price; once agreed, `escrow` is the replacement to be funded."""

    id: UUID
    task_id: UUID
    proposer_id: UUID
    price_cents: int
    state: Literal["OPEN", "AGREED", "DECLINED", "LAPSED", "APPLIED"]
    created_at: datetime
    escrow: EscrowView | None = None

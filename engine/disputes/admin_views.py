"""What admins see of disputes."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from msgspec import Struct

from engine.admin.views import ActionView
from engine.disputes.views import DisputeView
from engine.kernel.states import EscrowState, TaskState
from engine.money.admin_views import ChargebackView
from engine.proofs.views import ProofView
from engine.tasks.views import TransitionView

DisputeState = Literal["OPEN", "EVIDENCE_REQUESTED", "ESCALATED", "RESOLVED"]


class DisputeFile(Struct, frozen=True):
    """All that a decision stands on: evidence, proofs, the task's steps, and who did what."""

    dispute: DisputeView
    amount_cents: int
    escrow_state: EscrowState
    poster_id: UUID
    hustler_id: UUID
    task_state: TaskState
    proofs: list[ProofView]
    history: list[TransitionView]
    chargebacks: list[ChargebackView]
    actions: list[ActionView]

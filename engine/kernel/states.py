"""The states of tasks, offers and money that several subjects use."""

from __future__ import annotations

from typing import Literal

Mode = Literal["STANDARD", "LIVE"]
TaskState = Literal[
    "OPEN",
    "MATCHING",
    "ACCEPTED",
    "WORKING",
    "PROOF_SUBMITTED",
    "DISPUTED",
    "COMPLETED",
    "CANCELLED",
    "EXPIRED",
]
EscrowState = Literal[
    "PENDING",
    "FUNDED",
    "LOCKED_DISPUTE",
    "RELEASED",
    "REFUNDED",
    "REFUND_PARTIAL",
    "CANCELLED",
]

"""A small asynchronous client of HustleXP Live: all it knows is the public contract.

`Session` is a user's WebSocket that survives its connections; `Api` is the REST half.
Needs `websockets`, `httpx` and `msgspec`; imports nothing of the service.
"""

from bench.client.api import Api, Choice, Escrow, Me, Proof
from bench.client.messages import (
    BroadcastUpdate,
    Gap,
    HeldTask,
    HustlerLocation,
    JobAssigned,
    JobCancelled,
    JobCompleted,
    JobStarted,
    LiveState,
    Message,
    Nudge,
    Offer,
    OfferClosed,
    OfferedTask,
    Outcome,
    PaymentCaptured,
    Place,
    Pong,
    Poster,
    Problem,
    Resync,
    TaskStatus,
    Unknown,
    Welcome,
)
from bench.client.refused import NoAnswer, Overrun, Refused, SentAway
from bench.client.session import Counts, Session

__all__ = [
    "Api",
    "BroadcastUpdate",
    "Choice",
    "Counts",
    "Escrow",
    "Gap",
    "HeldTask",
    "HustlerLocation",
    "JobAssigned",
    "JobCancelled",
    "JobCompleted",
    "JobStarted",
    "LiveState",
    "Me",
    "Message",
    "NoAnswer",
    "Nudge",
    "Offer",
    "OfferClosed",
    "OfferedTask",
    "Outcome",
    "Overrun",
    "PaymentCaptured",
    "Place",
    "Pong",
    "Poster",
    "Problem",
    "Proof",
    "Refused",
    "Resync",
    "SentAway",
    "Session",
    "TaskStatus",
    "Unknown",
    "Welcome",
]

"""Frames of the server and rows of its event log, decoded into the types of `messages`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from hustlexp_client import messages
from hustlexp_client.city import City
from hustlexp_client.messages import Message, Unknown
from hustlexp_client.tasks import Offer

BODIES: Final[Mapping[str, type[Struct]]] = {
    "LIVE_MODE_STATE_CHANGE": messages.LiveState,
    "LIVE_TASK_BROADCAST": Offer,
    "LIVE_TASK_UNAVAILABLE": messages.OfferClosed,
    "LIVE_BROADCAST_UPDATE": messages.BroadcastUpdate,
    "TASK_STATUS_UPDATE": messages.TaskStatus,
    "JOB_ASSIGNED": messages.JobAssigned,
    "JOB_STARTED": messages.JobStarted,
    "JOB_COMPLETED": messages.JobCompleted,
    "PAYMENT_CAPTURED": messages.PaymentCaptured,
    "JOB_CANCELLED": messages.JobCancelled,
    "PRICE_CHANGED": messages.PriceChanged,
    "PRICE_PROPOSAL": messages.PriceProposal,
    "PROOF_REJECTED": messages.ProofRejected,
    "EVIDENCE_ADDED": messages.EvidenceAdded,
    "PAYMENT_REFUNDED": messages.PaymentRefunded,
    "XP_AWARDED": messages.XpAwarded,
    "BADGE_UNLOCKED": messages.BadgeUnlocked,
    "TRUST_TIER_CHANGED": messages.TrustTierChanged,
    "HUSTLER_LOCATION": messages.HustlerLocation,
    "BROADCAST_RESPONSE": messages.Outcome,
    "NUDGE": messages.Nudge,
    "PONG": messages.Pong,
    "ERROR": messages.Problem,
    "WELCOME": messages.Welcome,
    "RESYNC": messages.Resync,
    "TOKEN_EXPIRING": messages.TokenExpiring,
    "CITY": City,
}
"""Type → data of everything the server may send."""


class _Envelope(Struct, frozen=True):
    """The outside of a frame; `data` stays undecoded until its type is known."""

    type: str
    id: str | None = None
    seq: int | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


_envelope = msgspec.json.Decoder(_Envelope)
_decoders = {name: msgspec.json.Decoder(body) for name, body in BODIES.items()}


def decode(frame: bytes | str) -> Message:
    """Returns a frame as a typed message; raises `msgspec.DecodeError` when it breaks the contract.

    >>> decode('{"type": "RESYNC", "data": {"reason": "TOO_OLD"}}').body
    Resync(reason='TOO_OLD')
    """
    envelope = _envelope.decode(frame)
    if envelope.seq is not None:
        return event(envelope.type, envelope.data, envelope.seq, envelope.id)
    return Message(envelope.type, _body(envelope.type, envelope.data), None, envelope.id)


def event(kind: str, data: bytes | msgspec.Raw, seq: int, reference: str | None = None) -> Message:
    """Returns a durable event of the log as the message that the socket brings.

    The log outlives versions of the service: an event in a shape of another one is `Unknown`.
    """
    try:
        body = _body(kind, data)
    except msgspec.ValidationError:
        body = Unknown(msgspec.json.decode(data))
    return Message(kind, body, seq, reference)


def _body(kind: str, data: bytes | msgspec.Raw) -> Any:
    decoder = _decoders.get(kind)
    return Unknown(msgspec.json.decode(data)) if decoder is None else decoder.decode(data)

"""What a client may say on the WebSocket: a closed, strict vocabulary.

Envelope `{"type", "id"?, "data"?}` (contract, WebSocket). Unknown types and fields are refused, every
number and every length has a bound. REST and tracking take the same `GoLive` and `LocationUpdate`.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from gateway.contract.fields import (
    MAX_SEQ,
    AccuracyM,
    Category,
    Instant,
    Latitude,
    Longitude,
    OfferResponse,
    RadiusMiles,
    Reason,
    Seq,
    Token,
)

Reference = Annotated[str, Meta(max_length=64)] | Annotated[int, Meta(ge=0, le=MAX_SEQ)]
"""The client's own name for a request; the reply repeats it."""


class Incoming(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """The envelope of every client message."""

    id: Reference | None = None


class Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The data of a client message: a field nobody knows is refused."""


class Nothing(Strict, frozen=True):
    """No data."""


class Location(Strict, frozen=True):
    """A position as the device measured it: degrees, accuracy in metres."""

    lat: Latitude
    lng: Longitude
    accuracy_m: AccuracyM | None = None


class Credentials(Strict, frozen=True):
    """`token` may be absent when the handshake carried the Authorization header."""

    token: Token | None = None
    last_seq: Seq | None = None


class GoLive(Strict, frozen=True):
    """Where the hustler is and, if wanted, own limits in miles and categories.

    `at` is when the device measured it, absent means now: without it a device whose fixes carry
    older times could never move after going live.  Absent categories mean all; an empty list, which
    would mean none, is refused.
    """

    location: Location
    at: Instant | None = None
    radius_miles: RadiusMiles | None = None
    categories: Annotated[list[Category], Meta(min_length=1, max_length=32)] | None = None


class LocationUpdate(Strict, frozen=True):
    """A new position; `at` is when the device measured it, absent means now."""

    location: Location
    at: Instant | None = None


class Answer(Strict, frozen=True):
    """The hustler's answer to one card."""

    broadcast_id: UUID
    response: OfferResponse
    decline_reason: Reason | None = None


class TaskReference(Strict, frozen=True):
    """Which task."""

    task_id: UUID


class EventOffset(Strict, frozen=True):
    """The last durable event the client has kept."""

    seq: Seq


class Auth(Incoming, frozen=True, tag="AUTH"):
    """First message of a socket; again later to refresh the token."""

    data: Credentials = Credentials()


class Ping(Incoming, frozen=True, tag="PING"):
    """Heartbeat."""

    data: Nothing | None = None


class SubscribeLiveMode(Incoming, frozen=True, tag="SUBSCRIBE_LIVE_MODE"):
    """Switch LIVE mode on; this socket becomes the source of the position."""

    data: GoLive


class UnsubscribeLiveMode(Incoming, frozen=True, tag="UNSUBSCRIBE_LIVE_MODE"):
    """Switch LIVE mode off."""

    data: Nothing | None = None


class UpdateLocation(Incoming, frozen=True, tag="UPDATE_LOCATION"):
    """The hustler moved; nothing answers a good fix."""

    data: LocationUpdate


class RespondToBroadcast(Incoming, frozen=True, tag="RESPOND_TO_BROADCAST"):
    """Accept, decline or skip an offer."""

    data: Answer


class SubscribeTask(Incoming, frozen=True, tag="SUBSCRIBE_TASK"):
    """Hear of every step of a task the caller may see."""

    data: TaskReference


class UnsubscribeTask(Incoming, frozen=True, tag="UNSUBSCRIBE_TASK"):
    """Hear no more of a task (durable events of one's own tasks still come)."""

    data: TaskReference


class Ack(Incoming, frozen=True, tag="ACK"):
    """Events up to `seq` are kept by the client."""

    data: EventOffset


class SubscribeCity(Incoming, frozen=True, tag="SUBSCRIBE_CITY"):
    """The map of everything; role admin only."""

    data: Nothing | None = None


class UnsubscribeCity(Incoming, frozen=True, tag="UNSUBSCRIBE_CITY"):
    """No more CITY frames."""

    data: Nothing | None = None


ClientMessage = (
    Auth
    | Ping
    | SubscribeLiveMode
    | UnsubscribeLiveMode
    | UpdateLocation
    | RespondToBroadcast
    | SubscribeTask
    | UnsubscribeTask
    | Ack
    | SubscribeCity
    | UnsubscribeCity
)

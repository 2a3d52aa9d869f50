"""What REST callers may send: every body and query string as a strict, bounded type.

Unknown fields are refused, so nobody can write a state, a role or a tier; every number and every
text has bounds, so nothing of an absurd size gets past the border.
Going LIVE and moving are the same shapes as on the socket: `messages.GoLive`, `messages.Moved`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import ClientDisconnect, Request

from engine.commands import BroadcastChoice
from engine.kernel import errors
from engine.tasks.draft import TaskDraft
from engine.views import Mode, TaskState
from gateway.contract import field_errors, limits
from gateway.contract.fields import (
    Address,
    Category,
    Cents,
    Code,
    Cursor,
    Description,
    FieldRefused,
    Instant,
    Latitude,
    Limit,
    Longitude,
    OfferResponse,
    Reason,
    Seq,
    Text,
    TimeZone,
    Title,
    Version,
    in_utc,
)
from gateway.contract.problems import Unreadable
from geo import cells

MAX_BODY_BYTES: Final = 65_536
MIN_PRICE_CENTS: Final = 500
"""$5.00 (product_spec §3.5, §9)."""
MIN_LIVE_PRICE_CENTS: Final = 1_500
"""$15.00, LIVE-2."""
MAX_PHOTOS: Final = 5
"""Photos of one proof (product_spec §6.2), and of one piece of evidence."""

Uploads = Annotated[list[UUID], Meta(max_length=MAX_PHOTOS)]


class Sent(Struct, frozen=True, forbid_unknown_fields=True):
    """The base of every body and query: immutable, and closed to unknown fields."""

    def _in_utc(self, name: str, at: Instant | UnsetType | None) -> None:
        """Turns a time to UTC: offsets that one parser knows are none of another's business."""
        if isinstance(at, datetime):
            msgspec.structs.force_setattr(self, name, in_utc(name, at))


class Nothing(Sent, frozen=True):
    """An empty body `{}`, or a query string without parameters."""


class Place(Sent, frozen=True):
    """Where a task is."""

    lat: Latitude
    lng: Longitude
    address: Address | None = None

    def __post_init__(self) -> None:
        if self.lat == 0 and self.lng == 0:
            raise FieldRefused(
                "lat", "must not be 0 with lng 0, where devices without a position are"
            )


class LiveConfirmations(Sent, frozen=True):
    """What the poster confirms before a LIVE task; any `false` refuses LIVE."""

    can_respond: bool
    accessible_now: bool
    price_final: bool


class TaskRequest(Sent, frozen=True):
    """POST /v1/tasks."""

    title: Title
    description: Description
    category: Category
    price_cents: Cents
    location: Place
    mode: Mode = "STANDARD"
    deadline: Instant | None = None
    requires_proof: bool = True
    min_photos: Annotated[int, Meta(ge=1, le=MAX_PHOTOS)] = 1
    estimated_minutes: Annotated[int, Meta(ge=1, le=10_080)] | None = None
    required_trade: Category | None = None
    required_trust_tier: Annotated[int, Meta(ge=1, le=4)] = 1
    insurance_required: bool = False
    background_check_required: bool = False
    live_confirmations: LiveConfirmations | None = None

    def __post_init__(self) -> None:
        self._in_utc("deadline", self.deadline)


class EditRequest(Sent, frozen=True):
    """PATCH /v1/tasks/{id}: what changes; `version` is the one the poster saw."""

    version: Version | None = None
    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    category: Category | UnsetType = UNSET
    price_cents: Cents | UnsetType = UNSET
    location: Place | UnsetType = UNSET
    deadline: Instant | UnsetType | None = UNSET
    requires_proof: bool | UnsetType = UNSET
    min_photos: Annotated[int, Meta(ge=1, le=MAX_PHOTOS)] | UnsetType = UNSET
    estimated_minutes: Annotated[int, Meta(ge=1, le=10_080)] | UnsetType | None = UNSET
    required_trade: Category | UnsetType | None = UNSET
    required_trust_tier: Annotated[int, Meta(ge=1, le=4)] | UnsetType = UNSET
    insurance_required: bool | UnsetType = UNSET
    background_check_required: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        self._in_utc("deadline", self.deadline)


class AcceptRequest(Sent, frozen=True):
    """POST …/accept; `version` is the one the hustler saw."""

    version: Version | None = None


class StartRequest(Sent, frozen=True):
    """POST …/start."""

    code: Code


class ProofRequest(Sent, frozen=True):
    """POST …/proofs: photos, the completion code, or nothing where the task asks for no proof."""

    code: Code | None = None
    photos: Uploads | None = None

    def __post_init__(self) -> None:
        if self.code is not None and self.photos is not None:
            raise FieldRefused("code", "must be left out where there are photos")
        if self.photos is not None and not self.photos:
            raise FieldRefused("photos", "must hold at least one")


class MandatoryReason(Sent, frozen=True):
    """POST …/reject and …/dispute."""

    reason: Text


class EvidenceRequest(Sent, frozen=True):
    """POST …/evidence."""

    text: Text
    photos: Uploads = []


class PriceRequest(Sent, frozen=True):
    """POST …/price-proposals."""

    price_cents: Cents


class ReasonRequest(Sent, frozen=True):
    """POST …/cancel and …/release."""

    reason: Reason | None = None


class ChoiceRequest(Sent, frozen=True):
    """POST …/broadcast-choice; `price_cents` goes with INCREASE_PRICE."""

    choice: BroadcastChoice
    price_cents: Cents | None = None

    def __post_init__(self) -> None:
        if (self.choice == "INCREASE_PRICE") != (self.price_cents is not None):
            raise FieldRefused("price_cents", "belongs to INCREASE_PRICE, and to nothing else")


class OfferAnswer(Sent, frozen=True):
    """POST /v1/offers/{broadcast_id}/response."""

    response: OfferResponse
    decline_reason: Reason | None = None


class AccountEdit(Sent, frozen=True):
    """PATCH /v1/me; an IANA name such as `America/Los_Angeles`."""

    time_zone: TimeZone


class TasksQuery(Sent, frozen=True):
    """GET /v1/tasks?role&state&cursor&limit."""

    role: Literal["poster", "hustler"]
    state: TaskState | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class EventsQuery(Sent, frozen=True):
    """GET /v1/events?after&wait; `wait` in seconds."""

    after: Seq = 0
    wait: Annotated[float, Meta(ge=0, le=limits.POLL_MAX_S)] = 0.0


S = TypeVar("S", bound=Struct)


def decode(body: bytes, kind: type[S]) -> S:
    """A body as its type; VALIDATION_ERROR (422), or 400 when it is not JSON at all.

    >>> decode(b'{"code": "123456"}', StartRequest)
    StartRequest(code='123456')
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        raise _misfit(body, kind) from None
    except (ValueError, RecursionError):
        raise Unreadable(400, "The body is not JSON.") from None


def _misfit(body: bytes, kind: type[S]) -> errors.Refusal:
    """Why a body does not fit: every field that is wrong."""
    try:
        return field_errors.refusal(msgspec.json.decode(body), kind)
    except RecursionError:
        return errors.invalid_field("", "is nested too deeply")
    except msgspec.ValidationError:
        return errors.invalid_field("", "holds a number that is out of range")
    except ValueError:
        return Unreadable(400, "The body is not JSON.")


def decode_query(pairs: list[tuple[str, str]], kind: type[S]) -> S:
    """A query string as its type; a parameter given twice is refused."""
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        raise errors.invalid(
            *(
                errors.FieldError(field_errors.below("", name), "was given twice")
                for name in values
                if names.count(name) > 1
            )
        )
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError:
        raise field_errors.refusal(values, kind, strict=False) from None


async def read_body(request: Request) -> bytes:
    """The raw JSON body, `{}` for an empty one; TOO_LARGE beyond 64 KiB, 415 for another type."""
    body = await read_raw(request, MAX_BODY_BYTES)
    if not body:
        return b"{}"
    check_content_type(request.headers)
    return body


async def read_raw(request: Request, max_bytes: int) -> bytes:
    """The body as it came; the rest of one that is too large is never kept (TOO_LARGE)."""
    if announced_bytes(request) > max_bytes:
        raise errors.refusal("TOO_LARGE")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise errors.refusal("TOO_LARGE")
    except ClientDisconnect:
        raise Unreadable(400, "The body broke off.") from None
    return bytes(body)


def announced_bytes(request: Request) -> int:
    """The size of the body as its sender announces it, 0 for one that does not; else 400."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal():
        raise Unreadable(400, "Content-Length is not a number.")
    return int(announced)


def check_content_type(headers: Mapping[str, str]) -> None:
    """Refuse anything but `application/json`, with 415."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Unreadable(415, "The body must be application/json.")


def check_terms(task: TaskRequest) -> None:
    """What fields together must satisfy: price floors (HX902 for LIVE) and the confirmations.

    The database judges the floors again; asking early spares it the work.
    """
    if task.mode == "LIVE":
        said = task.live_confirmations
        unconfirmed = tuple(
            errors.FieldError(f"/live_confirmations/{name}", "must be true for a LIVE task")
            for name in (said.__struct_fields__ if said else ())
            if not getattr(said, name)
        )
        if task.price_cents < MIN_LIVE_PRICE_CENTS:
            floor = errors.FieldError("/price_cents", "must be at least 1,500 for a LIVE task")
            raise errors.refusal("HX902", "LIVE-2", fields=(floor, *unconfirmed))
        if unconfirmed:
            raise errors.invalid(*unconfirmed)
    elif task.price_cents < MIN_PRICE_CENTS:
        raise errors.invalid_field("/price_cents", f"must be at least {MIN_PRICE_CENTS}")


def changes(edit: EditRequest) -> dict[str, Any]:
    """The columns that an edit changes, with their new values."""
    sent = {
        name: getattr(edit, name)
        for name in edit.__struct_fields__
        if name not in ("version", "location", "price_cents") and getattr(edit, name) is not UNSET
    }
    if edit.price_cents is not UNSET:
        sent["price"] = edit.price_cents
    if edit.location is not UNSET:
        place = cells.place_centre(edit.location.lat, edit.location.lng)
        sent |= {
            "location_lat": edit.location.lat,
            "location_lng": edit.location.lng,
            "location_address": edit.location.address,
            "place_lat": place.lat,
            "place_lng": place.lng,
            "partition": cells.place_partition(edit.location.lat, edit.location.lng),
        }
    return sent


def draft(task: TaskRequest) -> TaskDraft:
    """The engine's draft: the exact place, and the centre of its cell for everybody else."""
    place = cells.place_centre(task.location.lat, task.location.lng)
    return TaskDraft(
        mode=task.mode,
        title=task.title,
        description=task.description,
        category=task.category,
        price_cents=task.price_cents,
        lat=task.location.lat,
        lng=task.location.lng,
        address=task.location.address,
        place_lat=place.lat,
        place_lng=place.lng,
        partition=cells.place_partition(task.location.lat, task.location.lng),
        deadline=task.deadline,
        requires_proof=task.requires_proof,
        min_photos=task.min_photos,
        estimated_minutes=task.estimated_minutes,
        required_trade=task.required_trade,
        required_trust_tier=task.required_trust_tier,
        insurance_required=task.insurance_required,
        background_check_required=task.background_check_required,
    )

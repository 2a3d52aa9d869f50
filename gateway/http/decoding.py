"""Decodes bodies and query strings into strict, bounded types, or refuses them.

Unknown fields are refused, so that no client can write a state, a role or a tier; every number and
every text has bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, UnsetType
from starlette.requests import ClientDisconnect, Request

from engine.kernel import errors
from gateway.contract import field_errors
from gateway.contract.fields import Instant, Text, in_utc
from gateway.contract.problems import Unreadable

MAX_BODY_BYTES: Final = 65_536


class Sent(Struct, frozen=True, forbid_unknown_fields=True):
    """The base of every body and query: immutable, and closed to unknown fields."""

    def _in_utc(self, name: str, at: Instant | UnsetType | None) -> None:
        """Turns a time to UTC: offsets that one parser knows are none of another's business."""
        if isinstance(at, datetime):
            msgspec.structs.force_setattr(self, name, in_utc(name, at))


class Nothing(Sent, frozen=True):
    """An empty body `{}`, or a query string without parameters."""


class MandatoryReason(Sent, frozen=True):
    """POST …/reject and …/dispute."""

    reason: Text


S = TypeVar("S", bound=Struct)


def decode(body: bytes, kind: type[S]) -> S:
    """A body as its type; VALIDATION_ERROR (422), or 400 when it is not JSON at all.

    >>> decode(b'{"reason": "Late."}', MandatoryReason)
    MandatoryReason(reason='Late.')
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        raise _misfit(body, kind) from None
    except (ValueError, RecursionError):
        raise Unreadable(400, "The body is not JSON.") from None


def _misfit(body: bytes, kind: type[S]) -> errors.Refusal:
    """Returns the refusal of a body with every field that is wrong."""
    try:
        return field_errors.refusal(msgspec.json.decode(body), kind)
    except RecursionError:
        return errors.invalid_field("", "is nested too deeply")
    except msgspec.ValidationError:
        return errors.invalid_field("", "holds a number that is out of range")
    except ValueError:
        return Unreadable(400, "The body is not JSON.")


def decode_query(pairs: list[tuple[str, str]], kind: type[S]) -> S:
    """Returns a query string as its type; refuses a parameter given twice."""
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
    """Returns the raw JSON body, `{}` if empty; TOO_LARGE beyond 64 KiB, 415 for another type."""
    body = await read_raw(request, MAX_BODY_BYTES)
    if not body:
        return b"{}"
    check_content_type(request.headers)
    return body


async def read_raw(request: Request, max_bytes: int) -> bytes:
    """Returns the body as sent; raises TOO_LARGE without keeping the rest of a larger one."""
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
    """Returns Content-Length, 0 without one; refuses a malformed one with 400."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal():
        raise Unreadable(400, "Content-Length is not a number.")
    return int(announced)


def check_content_type(headers: Mapping[str, str]) -> None:
    """Refuses anything but `application/json`, with 415."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Unreadable(415, "The body must be application/json.")

"""What each refusal becomes at the border: the last table on the one road of errors (design §8).

(code, invariant) → HTTP status, unique problem type, WebSocket disposition.
REST answers RFC 9457 `application/problem+json`; a socket gets the same facts as an ERROR frame, or
is closed with a code that says whether to come back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from msgspec import Struct, json
from starlette.responses import Response

from engine.kernel import errors
from gateway.contract import close_codes

PROBLEM_JSON: Final = "application/problem+json"
TYPE_PREFIX: Final = "/errors/"


@dataclass(frozen=True, slots=True)
class Disposition:
    """How one kind of refusal leaves the house."""

    status: int
    """HTTP status."""
    close: int | None = None
    """WebSocket close code; None answers the one request with an ERROR frame."""
    retry_after_s: float | None = None
    """Told when the refusal itself knows no better."""
    shows_invariant: bool = True
    """Eligibility never says which rule it was."""


TABLE: Final[Mapping[tuple[str, str], Disposition]] = {
    # Layer 0
    ("HX001", "TASK-TERMINAL"): Disposition(409),
    ("HX002", "ESCROW-TERMINAL"): Disposition(409),
    ("HX004", "INV-4"): Disposition(409),
    ("HX101", "INV-1"): Disposition(409),
    ("HX102", "XP-LEDGER"): Disposition(403),
    ("HX201", "INV-2"): Disposition(409),
    ("HX301", "INV-3"): Disposition(409),
    ("HX401", "BADGE"): Disposition(403),
    ("HX801", "ADMIN-AUDIT"): Disposition(403),
    ("HX801", "TRUST-LEDGER"): Disposition(403),
    ("HX801", "AUDIT-5"): Disposition(403),
    # Lifecycles
    ("HX010", "TRANSITION"): Disposition(409),
    ("HX010", "ESCROW-TRANSITION"): Disposition(409),
    ("HX010", "PROOF-TRANSITION"): Disposition(409),
    ("HX010", "DISPUTE-TRANSITION"): Disposition(409),
    ("HX010", "PROPOSAL"): Disposition(409),
    ("HX010", "CONSERVATION"): Disposition(409),
    ("HX010", "COVER"): Disposition(409),
    ("HX010", "ARRIVAL"): Disposition(409),
    ("HX010", "NO-SHOW"): Disposition(409),
    ("HX010", "TRUST-TIER"): Disposition(409),
    ("HX010", "LIVE-7"): Disposition(409),
    ("HX010", "MODE-IMMUTABLE"): Disposition(409),
    ("HX010", "VERSION"): Disposition(409),
    ("HX011", "TAKEN"): Disposition(409),
    ("HX012", "ELIGIBILITY"): Disposition(403, shows_invariant=False),
    ("HX013", "OWN-TASK"): Disposition(403),
    ("HX014", "BUSY"): Disposition(409),
    ("HX015", "LIVE-5"): Disposition(409),
    ("HX016", "FUNDED"): Disposition(409),
    ("HX016", "PAYMENT"): Disposition(409),
    ("HX016", "PAYOUT-ACCOUNT"): Disposition(409),
    ("HX017", "LOCK"): Disposition(503, retry_after_s=1.0),
    ("HX018", "CODE-WRONG"): Disposition(403),
    ("HX018", "CODE-LOCKED"): Disposition(429),
    ("HX019", "EDIT"): Disposition(409),
    ("HX021", "LOCATION"): Disposition(422),
    ("HX021", "ARRIVAL"): Disposition(422),
    ("HX022", "UPLOAD"): Disposition(422),
    # Roles and tokens
    ("HX501", "TOKEN-MISSING"): Disposition(401, close=close_codes.TOKEN_REFUSED.code),
    ("HX502", "TOKEN-INVALID"): Disposition(401, close=close_codes.TOKEN_REFUSED.code),
    ("HX503", "PERMISSION"): Disposition(403),
    ("HX503", "OWN-CASE"): Disposition(403),
    # LIVE mode
    ("HX601", "LIVE-REST"): Disposition(429),
    ("HX901", "LIVE-1"): Disposition(409),
    ("HX902", "LIVE-2"): Disposition(422),
    ("HX903", "LIVE-3"): Disposition(403),
    ("HX904", "LIVE-TOGGLE"): Disposition(429),
    ("HX905", "LIVE-BAN"): Disposition(403),
    # Transport
    ("VALIDATION_ERROR", ""): Disposition(422),
    ("NOT_FOUND", ""): Disposition(404),
    ("RATE_LIMITED", ""): Disposition(429, retry_after_s=1.0),
    ("TOO_LARGE", ""): Disposition(413),
    ("IDEMPOTENCY_MISMATCH", ""): Disposition(422),
    ("IDEMPOTENCY_IN_FLIGHT", ""): Disposition(409, retry_after_s=1.0),
    ("UNAVAILABLE", ""): Disposition(503, retry_after_s=1.0),
    ("INTERNAL_ERROR", ""): Disposition(500),
}


class Unreadable(errors.Refusal):
    """VALIDATION_ERROR under a status of its own: 400 not JSON, 405 method, 415 content type."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(errors.kind("VALIDATION_ERROR"), message)
        self.status = status
        self.headers = dict(headers or {})


class FieldProblem(Struct, frozen=True):
    """One place of the request that is wrong: a JSON pointer (RFC 6901), and what it must be."""

    pointer: str
    detail: str


def upgrade_required() -> Unreadable:
    """Only a WebSocket is served here (RFC 9110 §15.5.22, RFC 6455 §4.4)."""
    return Unreadable(
        426,
        "This is the address of a WebSocket, version 13.",
        {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"},
    )


class Problem(Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem details; `type` is the identity of the error.

    `errors` are all the places of a refused body, query string or message; `reason` names the rule
    that refused a position.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    request_id: str
    invariant: str | None = None
    retry_after_seconds: float | None = None
    reason: str | None = None
    errors: list[FieldProblem] = []


class ErrorData(Struct, frozen=True, omit_defaults=True):
    """The data of an ERROR frame: the same facts as a problem, for a socket."""

    code: str
    message: str
    retryable: bool
    invariant: str | None = None
    retry_after_seconds: float | None = None
    reason: str | None = None
    errors: list[FieldProblem] = []


def disposition(kind: errors.ErrorKind) -> Disposition:
    """The table's row of a kind; every registered kind has one."""
    return TABLE[kind.code, kind.invariant]


def problem_type(kind: errors.ErrorKind) -> str:
    """`/errors/HX903-LIVE-3`: unique per identity, the anchor of the docs page."""
    shown = shown_invariant(kind)
    return f"{TYPE_PREFIX}{kind.code}-{shown}" if shown else f"{TYPE_PREFIX}{kind.code}"


def shown_invariant(kind: errors.ErrorKind) -> str | None:
    """The invariant a client may see; None for transport codes and eligibility."""
    return kind.invariant or None if disposition(kind).shows_invariant else None


def close_code(kind: errors.ErrorKind) -> int | None:
    """The code that closes the socket for this kind; None when an ERROR frame answers it."""
    return disposition(kind).close


def retry_after_s(refusal: errors.Refusal) -> float | None:
    """Seconds until trying again can help; None when that is unknown."""
    if refusal.retry_after_s is not None:
        return refusal.retry_after_s
    return disposition(refusal.kind).retry_after_s


def error_data(refusal: errors.Refusal) -> ErrorData:
    """The ERROR frame's data for a refusal."""
    return ErrorData(
        code=refusal.kind.code,
        message=_sentence(refusal),
        retryable=refusal.kind.retryable,
        invariant=shown_invariant(refusal.kind),
        retry_after_seconds=retry_after_s(refusal),
        reason=refusal.reason,
        errors=_fields(refusal),
    )


def problem(refusal: errors.Refusal, request_id: str) -> Problem:
    """The problem details for a refusal."""
    return Problem(
        type=problem_type(refusal.kind),
        title=refusal.kind.title,
        status=status_of(refusal),
        detail=_sentence(refusal),
        code=refusal.kind.code,
        retryable=refusal.kind.retryable,
        request_id=request_id,
        invariant=shown_invariant(refusal.kind),
        retry_after_seconds=retry_after_s(refusal),
        reason=refusal.reason,
        errors=_fields(refusal),
    )


def status_of(refusal: errors.Refusal) -> int:
    """The HTTP status of a refusal."""
    if isinstance(refusal, Unreadable):
        return refusal.status
    return disposition(refusal.kind).status


def response(refusal: errors.Refusal, request_id: str) -> Response:
    """The HTTP answer for a refusal, with Retry-After (whole seconds) where one is known."""
    headers = dict(refusal.headers) if isinstance(refusal, Unreadable) else {}
    wait_s = retry_after_s(refusal)
    if wait_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    if refusal.kind.code == "HX501":
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.kind.code == "HX502":
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return Response(
        json.encode(problem(refusal, request_id)),
        status_code=status_of(refusal),
        headers=headers,
        media_type=PROBLEM_JSON,
    )


def _fields(refusal: errors.Refusal) -> list[FieldProblem]:
    return [FieldProblem(field.pointer, field.detail) for field in refusal.fields]


def _sentence(refusal: errors.Refusal) -> str:
    """The detail: a kind that hides its rule says its title and nothing else."""
    return refusal.message if disposition(refusal.kind).shows_invariant else refusal.kind.title

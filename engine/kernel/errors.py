"""Every refusal the system can give, by its identity: code + invariant.

The database raises them (SQLSTATE = code, CONSTRAINT = invariant), Python asks early with the same
ones. `gateway.contract.problems` adds status and disposition; `docs/errors.md` explains; a test holds the
database's `error_catalogue`, this registry, that table and the page equal.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """The identity of a refusal and what a client may rely on."""

    code: str
    invariant: str
    title: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong at one place of what was sent.

    `pointer` is a JSON pointer (RFC 6901), `detail` completes a sentence about the field there.
    """

    pointer: str
    detail: str


class Refusal(Exception):
    """An expected refusal: carries its kind, a plain sentence and, if known, when to try again.

    `fields` are all the places of the request that are wrong, `reason` is the rule's own name where
    one kind has several rules.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str | None = None,
        *,
        retry_after_s: float | None = None,
        fields: tuple[FieldError, ...] = (),
        reason: str | None = None,
    ) -> None:
        super().__init__(message or kind.title)
        self.kind = kind
        self.message = message or kind.title
        self.retry_after_s = retry_after_s
        self.fields = fields
        self.reason = reason


_KINDS = (
    # Layer 0: the core invariants and guards (product_spec §2, §3.4, §4.4)
    ErrorKind("HX001", "TASK-TERMINAL", "The task has ended and can no longer change."),
    ErrorKind("HX002", "ESCROW-TERMINAL", "The escrow has ended and can no longer change."),
    ErrorKind("HX004", "INV-4", "An escrow's amount never changes."),
    ErrorKind("HX101", "INV-1", "XP is awarded only for released money."),
    ErrorKind("HX102", "XP-LEDGER", "The XP ledger only grows."),
    ErrorKind("HX201", "INV-2", "Money is released only for a completed task."),
    ErrorKind("HX301", "INV-3", "A task completes only with an accepted proof."),
    ErrorKind("HX401", "BADGE", "Badges are earned, and stay."),
    ErrorKind("HX801", "ADMIN-AUDIT", "What an admin did stays on record."),
    ErrorKind("HX801", "TRUST-LEDGER", "The trust ledger only grows."),
    ErrorKind("HX801", "AUDIT-5", "This record only grows."),
    # Our own (contract)
    ErrorKind("HX010", "TRANSITION", "This step is not possible in the task's present state."),
    ErrorKind("HX010", "ESCROW-TRANSITION", "This step is not possible in the escrow's state."),
    ErrorKind("HX010", "PROOF-TRANSITION", "This step is not possible in the proof's state."),
    ErrorKind("HX010", "DISPUTE-TRANSITION", "This step is not possible in the dispute's state."),
    ErrorKind("HX010", "PROPOSAL", "This step is not possible in the price proposal's state."),
    ErrorKind("HX010", "CONSERVATION", "Money held, paid and given back must add up."),
    ErrorKind("HX010", "COVER", "Money that was taken back, or may be, does not move."),
    ErrorKind("HX010", "ARRIVAL", "First arrive at the place, or start with the poster's code."),
    ErrorKind("HX010", "NO-SHOW", "The hustler is not late enough to count as a no-show."),
    ErrorKind("HX010", "TRUST-TIER", "A trust tier changes only by its rules."),
    ErrorKind("HX010", "LIVE-7", "A task is accepted only by its hustler's own yes."),
    ErrorKind("HX010", "MODE-IMMUTABLE", "A task's mode is fixed when it is created."),
    ErrorKind("HX010", "VERSION", "The task's terms have changed since you saw them."),
    ErrorKind("HX011", "TAKEN", "Another hustler has taken this task."),
    ErrorKind("HX012", "ELIGIBILITY", "You cannot accept this task."),
    ErrorKind("HX013", "OWN-TASK", "You cannot accept your own task."),
    ErrorKind("HX014", "BUSY", "You hold another task already."),
    ErrorKind("HX015", "LIVE-5", "This broadcast is over."),
    ErrorKind("HX016", "FUNDED", "The task's escrow is not funded."),
    ErrorKind("HX016", "PAYMENT", "The payment was refused."),
    ErrorKind("HX016", "PAYOUT-ACCOUNT", "The hustler has no account to be paid to."),
    ErrorKind("HX017", "LOCK", "Busy just now; try again.", retryable=True),
    ErrorKind("HX018", "CODE-WRONG", "The code is not correct."),
    ErrorKind("HX018", "CODE-LOCKED", "Too many wrong codes; wait before the next try."),
    ErrorKind("HX019", "EDIT", "This field cannot be edited in the task's present state."),
    ErrorKind("HX021", "LOCATION", "The location was refused."),
    ErrorKind("HX021", "ARRIVAL", "Your position says that you are not at the place."),
    ErrorKind("HX022", "UPLOAD", "The photo was refused."),
    # Roles and tokens
    ErrorKind("HX501", "TOKEN-MISSING", "A bearer token is needed."),
    ErrorKind("HX502", "TOKEN-INVALID", "The token is not valid."),
    ErrorKind("HX503", "PERMISSION", "You are not allowed to do this."),
    ErrorKind("HX503", "OWN-CASE", "Nobody decides a case of their own."),
    # LIVE mode (product_spec §3.5)
    ErrorKind("HX601", "LIVE-REST", "A rest from LIVE mode is not shortened."),
    ErrorKind("HX901", "LIVE-1", "A LIVE task is broadcast only with a funded escrow."),
    ErrorKind("HX902", "LIVE-2", "A LIVE task costs at least $15.00."),
    ErrorKind("HX903", "LIVE-3", "You are not active in LIVE mode."),
    ErrorKind("HX904", "LIVE-TOGGLE", "LIVE mode was switched on less than 5 minutes ago."),
    ErrorKind("HX905", "LIVE-BAN", "You are banned from LIVE mode for now."),
    # Transport
    ErrorKind("VALIDATION_ERROR", "", "The request is not valid."),
    ErrorKind("NOT_FOUND", "", "There is no such thing here."),
    ErrorKind("RATE_LIMITED", "", "Too many requests; slow down.", retryable=True),
    ErrorKind("TOO_LARGE", "", "The message is too large."),
    ErrorKind("IDEMPOTENCY_MISMATCH", "", "This Idempotency-Key came with another request before."),
    ErrorKind(
        "IDEMPOTENCY_IN_FLIGHT", "", "The same request is still being answered.", retryable=True
    ),
    ErrorKind("UNAVAILABLE", "", "A part of the service is away; try again.", retryable=True),
    ErrorKind("INTERNAL_ERROR", "", "Something went wrong on our side."),
)

REGISTRY: dict[tuple[str, str], ErrorKind] = {(kind.code, kind.invariant): kind for kind in _KINDS}


def kind(code: str, invariant: str = "") -> ErrorKind:
    """Returns the registered kind; KeyError for an identity that was never declared."""
    return REGISTRY[code, invariant]


def refusal(
    code: str,
    invariant: str = "",
    message: str | None = None,
    *,
    fields: tuple[FieldError, ...] = (),
    reason: str | None = None,
) -> Refusal:
    """Returns a refusal to raise: `raise errors.refusal("HX013", "OWN-TASK")`."""
    return Refusal(kind(code, invariant), message, fields=fields, reason=reason)


def invalid(*fields: FieldError) -> Refusal:
    """Returns VALIDATION_ERROR for these places; its message names each of them."""
    places = (
        f"`{field.pointer}` {field.detail}" if field.pointer else f"The request {field.detail}"
        for field in fields
    )
    return refusal("VALIDATION_ERROR", message="; ".join(places), fields=fields)


def invalid_field(pointer: str, detail: str) -> Refusal:
    """Returns VALIDATION_ERROR for one place, as `invalid`."""
    return invalid(FieldError(pointer, detail))

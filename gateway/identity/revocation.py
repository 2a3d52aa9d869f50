"""Refusal of tokens: of one that proves nothing, and of good ones whose account was shut or revoked.

A revocation refuses what was issued up to its moment: `iat` is whole seconds in most tokens, so a
fresh one may have to wait for the next second. A token without `iat` is older than any revocation.
"""

from __future__ import annotations

from engine.kernel import errors
from engine.people.queries import User


class Unauthenticated(errors.Refusal):
    """A refused caller: `why` is for the security log, and never told to the caller."""

    def __init__(self, code: str, invariant: str, why: str, message: str | None = None) -> None:
        super().__init__(errors.kind(code, invariant), message)
        self.why = why


def check(account: User, issued_at: float) -> None:
    """Raises HX503 for a suspended account, HX502 for a token that was revoked.

    `issued_at` in Unix seconds.
    """
    if account.account_status == "SUSPENDED":
        raise suspended()
    if account.tokens_revoked_at is not None and issued_at <= account.tokens_revoked_at.timestamp():
        raise refused("revoked")


def missing() -> Unauthenticated:
    """Returns the HX501 of a call without a token."""
    return Unauthenticated("HX501", "TOKEN-MISSING", "missing")


def refused(why: str) -> Unauthenticated:
    """Returns the HX502 of a token that was refused for this reason."""
    return Unauthenticated("HX502", "TOKEN-INVALID", why)


def suspended() -> Unauthenticated:
    """Returns the HX503 of a suspended account."""
    return Unauthenticated("HX503", "PERMISSION", "suspended", "This account is suspended.")

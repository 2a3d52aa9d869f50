"""Refusal of tokens: of one that proves nothing, and of good ones whose account was shut or revoked.

A revocation refuses what was issued up to its moment: `iat` is whole seconds in most tokens, so a
fresh one may have to wait for the next second. A token without `iat` is older than any revocation.
"""

from __future__ import annotations

import structlog

from engine.kernel import errors
from engine.people.queries import User

log = structlog.get_logger(__name__)


def check(account: User, issued_at: float) -> None:
    """Raises HX503 for a suspended account, HX502 for a token that was revoked.

    `issued_at` in Unix seconds.
    """
    if account.account_status == "SUSPENDED":
        raise suspended()
    if account.tokens_revoked_at is not None and issued_at <= account.tokens_revoked_at.timestamp():
        raise refused("revoked")


def refused(reason: str) -> errors.Refusal:
    """Returns HX502; its reason goes to the log, never to the caller."""
    log.info("token_refused", reason=reason)
    return errors.refusal("HX502", "TOKEN-INVALID")


def suspended() -> errors.Refusal:
    """Returns the HX503 of a suspended account."""
    return errors.refusal("HX503", "PERMISSION", "This account is suspended.")

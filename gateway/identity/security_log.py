"""The security log: every event of it, with its fields, in one place.

Each function is one event, its parameters are its fields; docs/security.md has the same table. Users are
told by id, callers by address; no token, code, position or text of a user stands in any of them.
"""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

import structlog

Channel = Literal["rest", "socket"]

MAX_ORIGIN_CHARS: Final = 200
"""A longer Origin is cut."""

log = structlog.get_logger("security")


def auth_failed(*, reason: str, channel: Channel, address: str) -> None:
    """No token, one that proves nothing or was revoked, or a suspended account."""
    log.info("auth_failed", reason=reason, channel=channel, address=address)


def access_refused(*, user: UUID, role: str, call: str) -> None:
    """Somebody asked for a call that the role may not make."""
    log.warning("access_refused", user=str(user), role=role, call=call)


def rate_limited(*, limit: str, who: str) -> None:
    """A user, or an address with its bad tokens, is beyond a limit of REST calls."""
    log.info("rate_limited", limit=limit, who=who)


def origin_refused(*, origin: str, address: str) -> None:
    """A page of another origin asked for a socket."""
    log.warning("origin_refused", origin=origin[:MAX_ORIGIN_CHARS], address=address)


def token_revoked(*, user: UUID) -> None:
    """An admin had every token refused that this user had."""
    log.warning("token_revoked", user=str(user))


def session_revoked(*, user: UUID, reason: str, sockets: int, polls: int) -> None:
    """This process ended sockets and long polls of a suspended user, or of revoked tokens."""
    log.warning("session_revoked", user=str(user), reason=reason, sockets=sockets, polls=polls)


def session_refused(*, reason: str, user: UUID | None, address: str) -> None:
    """A socket was closed for what its client did: the name of the close code."""
    log.info("session_refused", reason=reason, user=str(user) if user else None, address=address)


def admin_act(*, admin: UUID, call: str, target: str) -> None:
    """An admin's command was carried out; `admin_actions` says why."""
    log.warning("admin_act", admin=str(admin), call=call, target=target)


def webhook_refused(*, reason: str) -> None:
    """A payment event came without a good signature."""
    log.warning("webhook_refused", reason=reason)

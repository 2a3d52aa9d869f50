"""The reads of accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from engine.kernel import errors
from engine.kernel.ids import (
    UserId,
)
from engine.kernel.store import Store
from engine.people.views import MeView


class User(NamedTuple):
    """An account as authentication needs it."""

    id: UserId
    role: Literal["poster", "hustler", "dual", "admin"]
    account_status: Literal["ACTIVE", "PAUSED", "SUSPENDED"]
    tokens_revoked_at: datetime | None = None
    """Tokens issued until then are refused."""


class TokenSubject(NamedTuple):
    """Whom a verified token names, and what an account that is created for it begins with."""

    issuer: str
    subject: str
    role: str
    first_name: str


class PeopleQueries:
    """Reads accounts, and creates one when a token's subject is first seen."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def users_for(self, subjects: Sequence[TokenSubject]) -> list[User]:
        """Returns the account of each subject, created on first use, by one query."""
        columns = [list(column) for column in zip(*subjects, strict=True)]
        return [User(*row.values()) for row in await self._store.rows("users_for", *columns)]

    async def user(self, user: UserId) -> User:
        """Returns an account in its present state; NOT_FOUND for an unknown id."""
        rows = await self._store.rows("user_by_id", user)
        if not rows:
            raise errors.refusal("NOT_FOUND")
        return User(*rows[0])

    async def require_admin(self, user: UserId) -> None:
        """Raises HX503 for who is no admin, or is one no more."""
        await self._store.perform("admin_only", user)

    async def me(self, user: UserId) -> MeView:
        """Returns the caller's own account."""
        return await self._store.found(MeView, "me_view", user)

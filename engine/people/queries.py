"""The reads of accounts."""

from __future__ import annotations

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


class PeopleQueries:
    """Reads accounts, and creates one when a token's subject is first seen."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def user_for(self, issuer: str, subject: str, role: str, first_name: str) -> User:
        """Returns the account of a token's subject, created on first use."""
        row = (await self._store.rows("user_for", issuer, subject, role, first_name))[0]
        return User(*row)

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

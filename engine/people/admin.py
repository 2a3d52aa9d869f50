"""The admin's reads and commands on accounts."""

from __future__ import annotations

from engine.kernel.execution import Execution
from engine.kernel.ids import (
    UserId,
)
from engine.kernel.store import Store
from engine.people.admin_views import UserFile


class PeopleAdmin:
    """Reads, suspends and reinstates accounts, and revokes their tokens."""

    def __init__(self, execution: Execution, store: Store) -> None:
        self._execution = execution
        self._store = store

    async def suspend(self, admin: UserId, user: UserId, reason: str) -> None:
        """Suspends an account: its tokens are refused, its LIVE session ends."""
        await self._execution.run("suspend_user", admin, user, reason)

    async def reinstate(self, admin: UserId, user: UserId, reason: str) -> None:
        """Reinstates a suspended account."""
        await self._execution.run("reinstate_user", admin, user, reason)

    async def revoke_sessions(self, admin: UserId, user: UserId, reason: str) -> None:
        """Refuses every token that the user has by now: sessions end, the account stays open."""
        await self._execution.run("revoke_sessions", admin, user, reason)

    async def user(self, user: UserId) -> UserFile:
        """Returns an account as admins see it; NOT_FOUND for an unknown id."""
        return await self._store.found(UserFile, "admin_user", user)

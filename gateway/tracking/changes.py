"""Hustlers whose task or LIVE state changed, for the location tracker to read anew."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from engine.kernel.applied import Applied
from engine.kernel.ids import UserId
from gateway.delivery.hub import MOVES_HUSTLER


class HustlerChanges:
    """Collects the hustlers whom a command of this process changed, or another transaction."""

    def __init__(self) -> None:
        self.users: set[UserId] = set()
        self.work = asyncio.Event()
        """Set when there is something for the tracker to do."""

    def applied(self, applied: Applied) -> None:
        """Adds the hustlers that a command of this process changed."""
        moved = (event.user_id for event in applied.events if event.type in MOVES_HUSTLER)
        self.add(map(UserId, (*moved, *applied.withdrawn)))

    def add(self, users: Iterable[UserId]) -> None:
        """Adds hustlers to be read anew."""
        self.users.update(users)
        if self.users:
            self.work.set()

    def take(self) -> set[UserId]:
        """Returns and clears the hustlers changed since the last call."""
        users, self.users = self.users, set()
        return users

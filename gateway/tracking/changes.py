"""Hustlers whose task or LIVE state changed, for the location tracker to read anew."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from engine.kernel.applied import Applied, UserEvent
from engine.kernel.ids import UserId
from gateway.delivery.hub import MOVES_HUSTLER


class HustlerChanges:
    """Collects the hustlers changed by a committed command or an event of another process."""

    def __init__(self) -> None:
        self.users: set[UserId] = set()
        self.work = asyncio.Event()
        """Set when there is something for the tracker to do."""

    def applied(self, applied: Applied) -> None:
        """Adds the hustlers that a command of this process changed."""
        self.heard(applied.events)
        for hustler in applied.withdrawn:
            self._add(UserId(hustler))

    def heard(self, events: Iterable[UserEvent]) -> None:
        """Adds the hustlers of events, whichever process committed them."""
        for event in events:
            if event.type in MOVES_HUSTLER:
                self._add(UserId(event.user_id))

    def take(self) -> set[UserId]:
        """Returns and clears the hustlers changed since the last call."""
        users, self.users = self.users, set()
        return users

    def _add(self, user: UserId) -> None:
        self.users.add(user)
        self.work.set()

"""Limits the uploads that a process receives at once: each holds its file in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from engine.kernel import errors
from gateway.contract import limits


class UploadSlots:
    """Slots for uploads under way, few for each user, so that slow ones block no other user."""

    def __init__(self) -> None:
        self._taken: Counter[UUID] = Counter()

    def under_way(self, user: UUID) -> int:
        """Returns how many uploads of this user are being received or checked."""
        return self._taken[user]

    @contextmanager
    def one(self, user: UUID) -> Iterator[None]:
        """Holds a slot while the block runs; refuses with RATE_LIMITED or UNAVAILABLE.

        RATE_LIMITED when the user has too many, UNAVAILABLE when the process has.
        """
        if self._taken[user] >= limits.UPLOADS_AT_ONCE_PER_USER:
            raise errors.refusal("RATE_LIMITED")
        if self._taken.total() >= limits.UPLOADS_AT_ONCE:
            raise errors.refusal("UNAVAILABLE")
        self._taken[user] += 1
        try:
            yield
        finally:
            self._taken[user] -= 1
            self._taken += Counter()  # forgets who has none

"""How many uploads a process receives at once: each holds its file in memory until it is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from engine.kernel import errors
from gateway.contract import limits


class UploadSlots:
    """Places for uploads under way, few for each user, so that slow ones shut nobody else out."""

    def __init__(self) -> None:
        self._taken: Counter[UUID] = Counter()

    def under_way(self, user: UUID) -> int:
        """How many uploads of this user are being received or checked."""
        return self._taken[user]

    @contextmanager
    def one(self, user: UUID) -> Iterator[None]:
        """A place while the block runs; RATE_LIMITED when the user has too many, else UNAVAILABLE."""
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

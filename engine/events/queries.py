"""Reads of the durable event log, and of the snapshots that a connection starts from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog

from engine.events.views import Snapshot
from engine.kernel.applied import UserEvent
from engine.kernel.ids import (
    UserId,
)
from engine.kernel.store import Store
from engine.tasks.codes import TaskCodes

log = structlog.get_logger(__name__)


EVENTS_PER_READ = 200
"""Most events one read returns; a reader asks again from where it stands."""


class EventPage(msgspec.Struct, frozen=True):
    """A stretch of a user's events, and where the counter stood in the same snapshot."""

    last_seq: int
    events: list[UserEvent]


class Standing(NamedTuple):
    """The newest event offset of a connected user, and whether tokens of the account are refused."""

    user: UserId
    last_seq: int
    is_suspended: bool
    tokens_revoked_at: datetime | None
    """Tokens issued until then are refused."""


class EventQueries:
    """Reads events, snapshots, and the newest event offset of each user."""

    def __init__(self, store: Store, codes: TaskCodes) -> None:
        self._store = store
        self._codes = codes

    async def after(self, user: UserId, seq: int, limit: int = EVENTS_PER_READ) -> EventPage:
        """Returns the user's events behind offset `seq`, in order, at most `limit`."""
        return await self._store.one(EventPage, "events_after", user, seq, limit)

    async def after_many(self, offsets: dict[UserId, int]) -> list[UserEvent]:
        """Returns the events behind each user's offset in one query, each user's in order."""
        rows = await self._store.rows(
            "events_after_many", list(offsets), list(offsets.values()), EVENTS_PER_READ
        )
        return [msgspec.json.decode(row[0], type=UserEvent) for row in rows]

    async def standings(self, users: Sequence[UserId]) -> list[Standing]:
        """Returns the newest event offset of each of these users, and whose tokens are refused."""
        rows = await self._store.rows("positions", list(users))
        return [Standing(*row) for row in rows]

    async def snapshots(self, users: Sequence[UserId]) -> dict[UserId, Snapshot]:
        """Returns the snapshots that WELCOME carries, for many users in one query.

        A user whose snapshot cannot be read is left out.
        """
        found = {}
        rows = await self._store.rows("snapshots", list(users))
        for user, row in zip(users, rows, strict=True):
            try:
                snapshot = msgspec.json.decode(row[0], type=Snapshot)
            except msgspec.ValidationError:
                # A row that does not decode must not fail the other users' snapshots.
                log.exception("snapshot_not_readable", user=str(user))
                continue
            found[UserId(snapshot.user_id)] = self._with_codes(snapshot)
        return found

    def _with_codes(self, snapshot: Snapshot) -> Snapshot:
        tasks = [self._codes.filled_in(task) for task in snapshot.tasks]
        return msgspec.structs.replace(snapshot, tasks=tasks)

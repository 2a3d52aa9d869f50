"""What a session missed: pages of the log, for all who resume within 10 ms by one query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from engine.api.queries import Queries
from engine.kernel.applied import UserEvent
from engine.kernel.batcher import Batcher
from engine.kernel.ids import UserId
from gateway.contract import limits
from gateway.session import rendering


class MissedEvents:
    """Batches the reads of sessions that resume, one query per window."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._window = Batcher(
            self._read,
            size=limits.MISSED_EVENTS_BATCH,
            window_s=limits.AUTH_WINDOW_S,
            longest_s=limits.AUTH_WINDOW_MAX_S,
        )

    async def after(self, user: UserId, seq: int) -> list[UserEvent]:
        """Returns a page of the user's events behind `seq`, in order; raises as the query does."""
        return await self._window.ask((user, seq))

    async def _read(self, cursors: Sequence[tuple[UserId, int]]) -> list[list[UserEvent]]:
        # two sockets of one user may resume from different events: what both miss is read once
        offsets: dict[UserId, int] = {}
        for user, seq in cursors:
            offsets[user] = min(seq, offsets.get(user, seq))
        found = await events_after(self._queries, offsets)
        return [[event for event in found[user] if event.seq > seq] for user, seq in cursors]


async def events_after(
    queries: Queries, offsets: Mapping[UserId, int]
) -> Mapping[UserId, Sequence[UserEvent]]:
    """Returns a page of the events behind each user's offset, complete, by one query.

    A user without any has an empty page.
    """
    pages: defaultdict[UserId, list[UserEvent]] = defaultdict(list)
    for event in await rendering.complete(queries.codes, await queries.events.after_many(offsets)):
        pages[UserId(event.user_id)].append(event)
    return pages

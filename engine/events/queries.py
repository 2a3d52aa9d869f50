"""Reads of the durable event log, and of the snapshots that a connection starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
import structlog

from engine.events.views import Snapshot
from engine.kernel.applied import UserEvent
from engine.kernel.ids import (
    UserId,
)
from engine.kernel.store import Store
from engine.live.views import LiveView, OfferCard
from engine.tasks.codes import TaskCodes
from engine.tasks.views import TaskView

log = structlog.get_logger(__name__)


EVENTS_PER_READ = 200
"""Most events one read returns; a reader asks again from where it stands."""


class EventPage(msgspec.Struct, frozen=True):
    """A stretch of a user's events, and where the counter stood in the same snapshot."""

    last_seq: int
    events: list[UserEvent]


class _OwnOffer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What of an offer's card is its hustler's own; the distance as shown."""

    broadcast_id: UUID
    distance_miles: float
    matching_score: float


class _StoredSnapshot(msgspec.Struct, frozen=True):
    """A `Snapshot` as the database answers it, without the cards that many share."""

    user_id: UUID
    server_time: datetime
    last_seq: int
    live: LiveView
    offers: list[_OwnOffer]
    tasks: list[TaskView]


_DECODE_EVENT = msgspec.json.Decoder(UserEvent).decode
_DECODE_CARDS = msgspec.json.Decoder(list[OfferCard]).decode
_DECODE_SNAPSHOT = msgspec.json.Decoder(_StoredSnapshot).decode


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

    async def after_many(self, offsets: Mapping[UserId, int]) -> list[UserEvent]:
        """Returns the events behind each user's offset in one query, each user's in order."""
        rows = await self._store.rows(
            "events_after_many", list(offsets), list(offsets.values()), EVENTS_PER_READ
        )
        return [_DECODE_EVENT(row[0]) for row in rows]

    async def standings(self, users: Sequence[UserId]) -> list[Standing]:
        """Returns the newest event offset of each of these users, and whose tokens are refused."""
        rows = await self._store.rows("positions", list(users))
        return [Standing(*row) for row in rows]

    async def snapshots(self, users: Sequence[UserId]) -> dict[UserId, Snapshot]:
        """Returns the snapshots that WELCOME carries, for many users in one query.

        A user whose snapshot cannot be read is left out.
        """
        found = {}
        shared, *rows = await self._store.rows("snapshots", list(users))
        cards = {card.broadcast_id: card for card in _DECODE_CARDS(shared[0])}
        for user, row in zip(users, rows, strict=True):
            try:
                stored = _DECODE_SNAPSHOT(row[0])
            except msgspec.ValidationError:
                # A row that does not decode must not fail the other users' snapshots.
                log.exception("snapshot_not_readable", user=str(user))
                continue
            found[user] = Snapshot(
                user_id=stored.user_id,
                server_time=stored.server_time,
                last_seq=stored.last_seq,
                live=stored.live,
                offers=[
                    cards[offer.broadcast_id].of(offer.distance_miles, offer.matching_score)
                    for offer in stored.offers
                ],
                tasks=[self._codes.filled_in(task) for task in stored.tasks],
            )
        return found

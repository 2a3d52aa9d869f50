"""What processes tell each other over the bus: copies of what is committed, or of what passes.

A lost message costs time, never a fact. `MESSAGES` are kinds of one tagged union in MessagePack;
what a process does not know, of a later release, it leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Self
from uuid import UUID

import msgspec
import numpy as np
from msgspec import Struct

from broadcast.ports import BroadcastUpdate
from engine.kernel.applied import Applied, ClosedBroadcast, UserEvent
from engine.kernel.ids import UserId
from engine.live.views import OfferCard


class Hello(Struct, frozen=True, tag="hello"):
    """A process is there; said once a second."""


class Committed(Struct, frozen=True, tag="committed", omit_defaults=True):
    """What a committed command did, as far as it concerns other processes."""

    events: tuple[UserEvent, ...] = ()
    closed: tuple[ClosedBroadcast, ...] = ()
    started: tuple[UUID, ...] = ()
    """Ids of broadcasts."""
    withdrawn: tuple[UUID, ...] = ()
    settle: bool = False

    @classmethod
    def of(cls, applied: Applied) -> Self:
        """Returns what other processes need of a command's result."""
        return cls(
            applied.events,
            applied.closed,
            tuple(started.params.id for started in applied.started),
            applied.withdrawn,
            applied.settle,
        )

    def __bool__(self) -> bool:
        """Returns whether there is anything to tell."""
        return bool(self.events or self.closed or self.started or self.withdrawn or self.settle)

    def applied(self) -> Applied:
        """Returns it as the result of a command; what it started is another process's."""
        return Applied(
            events=self.events,
            closed=self.closed,
            withdrawn=self.withdrawn,
            settle=self.settle,
        )


class Wave(Struct, frozen=True, tag="wave"):
    """The cards of one broadcast: what all share once, and a column of what is each hustler's own."""

    card: OfferCard
    hustlers: bytes
    """UUIDs, 16 bytes each."""
    miles: bytes
    """Distances, float64."""
    scores: bytes
    """Matching scores, float64."""

    @classmethod
    def all_of(cls, cards: Sequence[tuple[UserId, OfferCard]]) -> Iterator[Self]:
        """Yields the waves of cards: one for each broadcast, hustlers in order."""
        by_broadcast: dict[UUID, list[tuple[UserId, OfferCard]]] = {}
        for hustler, card in cards:
            by_broadcast.setdefault(card.broadcast_id, []).append((hustler, card))
        for some in by_broadcast.values():
            yield cls(
                some[0][1],
                b"".join(hustler.bytes for hustler, _ in some),
                np.array([card.task.distance_miles for _, card in some]).tobytes(),
                np.array([card.matching_score for _, card in some]).tobytes(),
            )

    def cards_of(self, users: Any) -> list[tuple[UserId, OfferCard]]:
        """Returns the cards of those hustlers who are in `users`, a container of ids."""
        miles, scores = np.frombuffer(self.miles), np.frombuffer(self.scores)
        found = []
        for number in range(len(miles)):
            hustler = UserId(UUID(bytes=self.hustlers[16 * number : 16 * number + 16]))
            if hustler in users:
                task = msgspec.structs.replace(self.card.task, distance_miles=float(miles[number]))
                own = msgspec.structs.replace(
                    self.card, task=task, matching_score=float(scores[number])
                )
                found.append((hustler, own))
        return found


class Closed(Struct, frozen=True, tag="closed"):
    """A broadcast has ended, as its broadcaster says."""

    broadcast: ClosedBroadcast


class Update(Struct, frozen=True, tag="update"):
    """How far a broadcast has come, for its poster."""

    poster: UUID
    update: BroadcastUpdate


class Volatile(Struct, frozen=True, tag="volatile"):
    """A message for a user's sockets that is not durable: the next one replaces it."""

    user: UUID
    payload: bytes
    """As it goes to a socket."""


class Answered(Struct, frozen=True, tag="answered"):
    """A hustler has declined an offer: the card leaves the other sockets."""

    hustler: UUID
    broadcast_id: UUID
    task_id: UUID


class Shown(Struct, frozen=True, tag="shown"):
    """Cards that reached a socket: pairs of broadcast and hustler, 32 bytes each."""

    pairs: bytes

    @classmethod
    def of(cls, pairs: Sequence[tuple[UUID, UUID]]) -> Self:
        """Returns the message of these pairs."""
        return cls(b"".join(broadcast.bytes + hustler.bytes for broadcast, hustler in pairs))

    def __iter__(self) -> Iterator[tuple[UUID, UUID]]:
        """Iterates over the pairs."""
        for start in range(0, len(self.pairs), 32):
            pair = self.pairs[start : start + 32]
            yield UUID(bytes=pair[:16]), UUID(bytes=pair[16:])


class Nearby(Struct, frozen=True, tag="nearby"):
    """Hustlers who have come into a cell: they may be offered what runs there."""

    hustlers: tuple[UUID, ...]


Message = Hello | Committed | Wave | Closed | Update | Volatile | Answered | Shown | Nearby

_encoder: Final = msgspec.msgpack.Encoder(uuid_format="bytes")
_several: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_one: Final = msgspec.msgpack.Decoder(Message)


def encode(messages: Sequence[Message]) -> bytes:
    """Returns messages as one payload."""
    return _encoder.encode(messages)


def decode(payload: bytes) -> Iterator[Message]:
    """Yields the messages of a payload that this release knows; raises msgspec.MsgspecError."""
    for raw in _several.decode(payload):
        try:
            yield _one.decode(raw)
        except msgspec.ValidationError:
            continue

"""Offer cards as messages: what the cards of a broadcast share is encoded once.

Cards of one broadcast differ by distance and score alone. The bytes are those of `codec.encode`.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from engine.live.views import OfferCard
from gateway.contract import codec, encoding

_DISTANCE: Final = b'"distance_miles":'
_SCORE: Final = b'"matching_score":'
_Pattern = tuple[tuple[object, ...], bytes, bytes, bytes]
"""What the cards share, and their text before, between and behind the two numbers."""


class CardEncoder:
    """Encodes cards as LIVE_TASK_BROADCAST; keeps one pattern of each broadcast it has seen."""

    __slots__ = ("_broadcast_id", "_pattern", "_patterns")

    def __init__(self) -> None:
        self._patterns: dict[UUID, _Pattern] = {}
        self._broadcast_id: UUID | None = None
        self._pattern: _Pattern | None = None
        """Of the last card: mostly the next one's too."""

    def encode(self, card: OfferCard) -> bytes:
        """Returns the message as JSON text in UTF-8."""
        if card.broadcast_id is not self._broadcast_id:
            self._broadcast_id = card.broadcast_id
            self._pattern = self._patterns.get(card.broadcast_id)
        shared = _shared(card)
        pattern = self._pattern
        if pattern is None or pattern[0] != shared:
            pattern = self._pattern = (shared, *_around_numbers(card))
            self._patterns[card.broadcast_id] = pattern
        _, start, middle, end = pattern
        distance = encoding.number(card.task.distance_miles)
        return b"".join((start, distance, middle, encoding.number(card.matching_score), end))


def _shared(card: OfferCard) -> tuple[object, ...]:
    """Returns everything but distance and score; of one broadcast mostly the very same objects."""
    task = card.task
    return (
        card.poster,
        card.expires_at,
        task.id,
        task.version,
        task.title,
        task.description,
        task.category,
        task.price_cents,
        task.hustler_pay_cents,
        task.location,
        task.deadline,
        task.xp_multiplier,
    )


def _around_numbers(card: OfferCard) -> tuple[bytes, bytes, bytes]:
    """Returns the message before, between and behind the two numbers.

    No text that people write can look like the name of a field: its quotes are escaped.
    """
    start, middle = _around(codec.encode("LIVE_TASK_BROADCAST", card), _DISTANCE)
    middle, end = _around(middle, _SCORE)
    return start, middle, end


def _around(text: bytes, name: bytes) -> tuple[bytes, bytes]:
    """Returns what stands before a field's number, its name included, and what behind it."""
    number_at = text.index(name) + len(name)
    ends_at = min(at for mark in (b",", b"}") if (at := text.find(mark, number_at)) >= 0)
    return text[:number_at], text[ends_at:]

"""Whose cards wait: until a socket takes them, for twelve seconds, and for nobody who is away."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from broadcast.limits import WaveLimits
from broadcast.loop_yield import LoopYield
from broadcast.unsent_cards import UNKNOWN_LOOKS, UnsentCards

LIMITS = WaveLimits()
ANN, BEN, CAT = (UUID(int=n) for n in (1, 2, 3))
ONE, TWO = UUID(int=11), UUID(int=12)


async def due(unsent: UnsentCards, connected: Collection[UUID], now_s: float) -> set[UUID]:
    """Whose cards are looked for."""
    return await unsent.take_due(connected, now_s, LoopYield(1.0))


async def test_a_card_waits_two_seconds_and_is_looked_for_until_it_is_taken() -> None:
    """Of a hustler with two of them each counts for itself."""
    unsent = UnsentCards(LIMITS)
    unsent.delivered([(ONE, ANN), (TWO, ANN), (ONE, BEN)], 0.0)
    unsent.taken([(ONE, BEN), (ONE, ANN)])
    assert await due(unsent, {ANN, BEN}, 1.9) == set()
    assert await due(unsent, {ANN, BEN}, 2.0) == {ANN}
    assert await due(unsent, {ANN, BEN}, 3.9) == set()
    assert await due(unsent, {ANN, BEN}, 4.0) == {ANN}
    unsent.taken([(TWO, ANN)])
    assert await due(unsent, {ANN, BEN}, 6.0) == set()


async def test_a_card_that_is_delivered_again_waits_from_its_first_time() -> None:
    """Else it would be sent again for ever; after twelve seconds the next session brings it."""
    unsent = UnsentCards(LIMITS)
    looked = []
    for second in range(0, 40, 2):
        unsent.delivered([(ONE, ANN)] if second < 12 else [], float(second))
        looked.append(await due(unsent, {ANN}, float(second)))
    assert [bool(found) for found in looked] == [False] + [True] * 5 + [False] * 14


async def test_whoever_is_away_is_not_looked_for() -> None:
    """The snapshot of the next session has the card."""
    unsent = UnsentCards(LIMITS)
    unsent.delivered([(ONE, ANN)], 0.0)
    unsent.suspect([BEN, CAT], 0.0)
    assert await due(unsent, {CAT}, 2.0) == {CAT}
    assert await due(unsent, {ANN, BEN, CAT}, 4.0) == set()


async def test_a_suspect_of_an_unanswered_call_is_looked_at_again() -> None:
    """As often as it takes until what a standing server still carries out is old enough."""
    unsent = UnsentCards(LIMITS)
    unsent.suspect([ANN], 0.0)
    unsent.suspect([BEN], 0.0, UNKNOWN_LOOKS)
    looked = [await due(unsent, {ANN, BEN}, 2.0 * n) for n in range(1, UNKNOWN_LOOKS + 2)]
    assert looked == [{ANN, BEN}] + [{BEN}] * (UNKNOWN_LOOKS - 1) + [set()]

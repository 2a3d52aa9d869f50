from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.live.views import OfferCard, OfferedTask, PosterCard, RoundedLocation
from gateway.contract import codec
from gateway.contract.card_encoding import CardEncoder

TEXTS = st.text(max_size=30) | st.sampled_from(
    ['"distance_miles":1,', '","matching_score":0}', "\\", "é\u2028", '{"matching_score":2}']
)
NUMBERS = st.floats(0, 1e9) | st.sampled_from([0.0, 1.0, 1e16, 1e-7, 0.1 + 0.2])
TIMES = st.integers(0, 10**15).map(
    lambda us: datetime(2030, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
CARDS = st.builds(
    OfferCard,
    st.sampled_from([UUID(int=1), UUID(int=2)]),
    st.builds(
        OfferedTask,
        st.uuids(), st.integers(1, 9), TEXTS, TEXTS, TEXTS,
        st.integers(1_500, 99_999), st.integers(1_275, 84_999),
        st.builds(RoundedLocation, NUMBERS, NUMBERS, st.none() | TEXTS),
        NUMBERS, st.none() | TIMES, NUMBERS,
    ),
    NUMBERS,
    TIMES,
    st.builds(PosterCard, TEXTS, st.integers(1, 4)),
)  # fmt: skip


@given(CARDS, st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4))
def test_a_card_is_the_same_bytes_by_itself_and_among_others(
    card: OfferCard, others: list[tuple[float, float]]
) -> None:
    """Whatever people write, and whichever hustler came first."""
    encoder = CardEncoder()
    for distance, score in others:
        task = msgspec.structs.replace(card.task, distance_miles=distance)
        own = msgspec.structs.replace(card, task=task, matching_score=score)
        assert encoder.encode(own) == codec.encode("LIVE_TASK_BROADCAST", own)


@given(st.lists(CARDS, min_size=2, max_size=5))
def test_cards_that_share_a_broadcast_and_differ_otherwise_are_not_mixed_up(
    cards: list[OfferCard],
) -> None:
    """A task that was edited meanwhile, another name of the poster."""
    encoder = CardEncoder()
    for card in cards:
        assert encoder.encode(card) == codec.encode("LIVE_TASK_BROADCAST", card)

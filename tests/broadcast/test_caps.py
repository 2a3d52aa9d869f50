"""The caps: best first, never more than allowed, nobody put off without need."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broadcast.caps import select

pairs = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 5)), unique=True, min_size=1, max_size=24
)


@given(pairs, st.randoms(), st.integers(1, 4), st.integers(1, 4), st.data())
def test_both_caps_hold_and_only_they_put_anyone_off(
    sides: list[tuple[int, int]], random: Random, per_tick: int, open_max: int, data: st.DataObject
) -> None:
    """Greedy in the given order; each pair lands in exactly one of the three lists."""
    held = [data.draw(st.integers(0, 5), label=f"hustler {n}") for n in range(6)]
    order = list(range(len(sides)))
    random.shuffle(order)
    selection = select(
        np.array(order),
        [broadcast for broadcast, _ in sides],
        [hustler for _, hustler in sides],
        [held[hustler] for _, hustler in sides],
        offers_per_tick=per_tick,
        open_offers_max=open_max,
    )
    assert sorted(selection.now + selection.hustler_full + selection.next_tick) == sorted(order)
    given_by = Counter(sides[row][0] for row in selection.now)
    received = Counter(sides[row][1] for row in selection.now)
    assert all(count <= per_tick for count in given_by.values())
    assert all(held[h] + count <= open_max for h, count in received.items())
    rank = {row: place for place, row in enumerate(order)}
    for row in selection.hustler_full:
        hustler = sides[row][1]
        better = sum(rank[r] < rank[row] for r in selection.now if sides[r][1] == hustler)
        assert held[hustler] + better >= open_max
    for row in selection.next_tick:
        broadcast = sides[row][0]
        assert (
            sum(rank[r] < rank[row] for r in selection.now if sides[r][0] == broadcast) == per_tick
        )

"""The sparse bitmap against a set."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broadcast.offered_pairs import OfferedPairs

pairs = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 40_000)), max_size=40)
steps = st.lists(st.tuples(st.sampled_from(["add", "discard", "clear"]), pairs), max_size=12)


def columns(of: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Slots and rows."""
    both = np.array(of, np.intp).reshape(-1, 2)
    return both[:, 0], both[:, 1]


@given(steps)
def test_it_is_a_set_of_pairs(steps: list[tuple[str, list[tuple[int, int]]]]) -> None:
    """Whatever is added, taken out and cleared, in whatever order and however often."""
    bits, model = OfferedPairs(), set[tuple[int, int]]()
    asked: set[tuple[int, int]] = {(0, 0), (90, 40_000)}
    for what, of in steps:
        asked |= set(of)
        if what == "add":
            bits.add(*columns(of))
            model |= set(of)
        elif what == "discard":
            bits.discard(*columns(of))
            model -= set(of)
        else:
            for slot, _ in of[:1]:
                bits.clear(slot)
                model = {pair for pair in model if pair[0] != slot}
        order = sorted(asked)
        assert bits.contains(*columns(order)).tolist() == [pair in model for pair in order]
    for slot in range(91):
        assert set(bits.rows(slot).tolist()) == {row for s, row in model if s == slot}


def test_a_broadcast_costs_the_rows_it_touches() -> None:
    """A thousand broadcasts with a thousand neighbours each, among a hundred thousand hustlers."""
    bits = OfferedPairs()
    for slot in range(1_000):
        rows = 1_024 * (slot % 90) + np.arange(1_000)
        bits.add(np.full(1_000, slot), rows)
    assert bits.nbytes < 1_000_000
    for slot in range(1_000):
        bits.clear(slot)
    held = bits.nbytes
    bits.add(np.arange(1_000), np.arange(1_000) * 90)
    assert bits.nbytes == held, "blocks that were given back are used again"

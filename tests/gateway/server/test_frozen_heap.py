"""The collector while serving: what lives long is not looked at again, garbage is still found."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from gateway.server.frozen_heap import FROZEN_FROM, frozen_heap, sweep


class Knot:
    """An object in a cycle with itself."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def freezing() -> Iterator[None]:
    """The frozen heap; afterwards all is as it was."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    with frozen_heap():
        yield
    assert gc.get_threshold() == thresholds
    assert gc.callbacks == callbacks
    assert gc.get_freeze_count() == 0


@pytest.fixture
def looked_at(freezing: None) -> Iterator[list[int]]:
    """How many objects each full collection had to look at."""
    counts: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            counts.append(len(gc.get_objects()))

    gc.callbacks.append(note)
    yield counts
    gc.callbacks.remove(note)


def test_a_growing_heap_is_looked_at_in_small_steps(looked_at: list[int]) -> None:
    """200,000 objects that stay, made in one go: no full collection looks at more than some."""
    before = gc.get_freeze_count()
    kept = [[number] for number in range(200_000)]
    assert len(looked_at) >= 10
    assert max(looked_at) < 20_000
    assert gc.get_freeze_count() - before > 150_000
    assert len(kept) == 200_000


def test_a_full_collection_on_demand_looks_at_next_to_nothing(looked_at: list[int]) -> None:
    """The heap of the start is not among it, however large."""
    gc.collect()
    assert looked_at[-1] < 5_000 < gc.get_freeze_count()


def test_old_garbage_is_found_when_the_heap_grows(freezing: None) -> None:
    """Cycles that grew old before they died are freed by themselves, not frozen."""
    knots = [Knot() for _ in range(FROZEN_FROM // 4)]
    last = weakref.ref(knots[-1])
    gc.collect()  # they are old now, and too few to be frozen
    knots.clear()
    kept = [[number] for number in range(50_000)]
    assert last() is None
    assert kept


def test_cycles_that_die_young_freeze_nothing(freezing: None) -> None:
    """A service that only makes garbage has no heap that grows."""
    before = gc.get_freeze_count()
    for _ in range(200_000):
        Knot()
    assert gc.get_freeze_count() - before < 2 * FROZEN_FROM


def test_objects_that_replace_frozen_ones_are_frozen_in_small_steps(looked_at: list[int]) -> None:
    """As many die as are made, so that the collector by itself would not begin."""
    waits = [[number] for number in range(100_000)]
    gc.collect()
    looked_at.clear()
    for start in range(0, len(waits), 1_000):
        for number in range(start, start + 1_000):
            waits[number] = [number]
        sweep()
    assert len(looked_at) >= 10
    assert max(looked_at) < 12_000
    assert len(gc.get_objects()) < 12_000

"""The collector's own schedule: what lives long is not looked at again, garbage is still found."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.server.frozen_heap import LOOKS_S, FrozenHeap, settle


class Knot:
    """An object in a cycle with itself."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
async def freezing() -> AsyncIterator[asyncio.Task[None]]:
    """The schedule, running."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    task = asyncio.create_task(FrozenHeap().run())
    await asyncio.sleep(0)
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert gc.get_threshold() == thresholds
    assert gc.callbacks == callbacks
    assert gc.get_freeze_count() == 0


@pytest.fixture
def fulls() -> Iterator[list[int]]:
    """How many objects each full collection freed."""
    freed: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            freed.append(info["collected"])

    gc.callbacks.append(note)
    yield freed
    gc.callbacks.remove(note)


async def test_the_heap_of_the_start_is_never_looked_at_again(
    freezing: asyncio.Task[None],
) -> None:
    """A full collection of a heap of 100,000 objects finds next to nothing to look at."""
    ballast: list[list[int]] = [[] for _ in range(100_000)]
    settle()
    assert gc.get_freeze_count() > len(ballast)
    assert len(gc.get_objects()) < 10_000


async def test_many_new_objects_are_frozen_by_themselves_in_small_steps(
    freezing: asyncio.Task[None], fulls: list[int]
) -> None:
    """As sessions open, each pass looks only at what came since the one before."""
    before, kept = gc.get_freeze_count(), []
    for _ in range(6):
        kept += [[n] for n in range(20_000)]
        await asyncio.sleep(2 * LOOKS_S)
        assert len(gc.get_objects()) < 60_000
    assert gc.get_freeze_count() - before > 60_000
    assert len(fulls) >= 3


async def test_without_growth_there_is_no_full_collection(
    freezing: asyncio.Task[None], fulls: list[int]
) -> None:
    """Cycles that die young are found by young collections alone."""
    for _ in range(20):
        for _ in range(5_000):
            Knot()
        await asyncio.sleep(0)
    await asyncio.sleep(3 * LOOKS_S)
    assert fulls == []
    gc.collect(1)
    assert not any(isinstance(o, Knot) for o in gc.get_objects())


def test_old_garbage_is_collected_and_not_frozen() -> None:
    """Only what is alive after a full collection stays for ever."""
    gc.collect()
    knots = [Knot() for _ in range(20_000)]
    seen = weakref.ref(knots[-1])
    gc.collect()  # they are old now
    knots.clear()
    settle(len(gc.get_objects(2)) - 10_000)
    try:
        assert seen() is None
    finally:
        gc.unfreeze()

"""Rows worked off several at once."""

from __future__ import annotations

import asyncio

import pytest

from engine.kernel.lanes import in_lanes


async def test_never_more_at_once_than_there_are_lanes_and_results_in_order() -> None:
    """The slow first row keeps one lane; the others pass it by."""
    inside, most = 0, 0
    last = asyncio.Event()

    async def work(row: int) -> int:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if row == 9:
            last.set()
        await (last.wait() if row == 0 else asyncio.sleep(0))
        inside -= 1
        return row * row

    async with asyncio.timeout(10):
        assert await in_lanes(range(10), work, lanes=3) == [row * row for row in range(10)]
    assert most == 3
    assert await in_lanes([], work, lanes=3) == []


async def test_a_row_that_fails_ends_the_others() -> None:
    """Nothing goes on behind the caller's back."""
    ended: list[int] = []

    async def work(row: int) -> None:
        if row == 1:
            raise LookupError
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(row)

    with pytest.raises(LookupError):
        await in_lanes(range(3), work, lanes=3)
    assert sorted(ended) == [0, 2]

"""Works rows off several at once, never more than a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Row = TypeVar("Row")
Result = TypeVar("Result")


async def in_lanes(
    rows: Iterable[Row], work: Callable[[Row], Awaitable[Result]], *, lanes: int
) -> list[Result]:
    """Calls `work` on each row, at most `lanes` at a time; returns the results in the rows' order.

    A row that takes long keeps one lane. What `work` raises ends the others and is raised; the
    first one's, where several do.
    """
    waiting = iter(enumerate(rows))
    results: dict[int, Result] = {}

    async def lane() -> None:
        for number, row in waiting:
            results[number] = await work(row)

    tasks = [asyncio.ensure_future(lane()) for _ in range(lanes)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [results[number] for number in sorted(results)]

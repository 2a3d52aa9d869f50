"""Whoever asks within one window shares one call, and nobody gets another's answer or trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from engine.kernel.batcher import Batcher
from sql.database import DatabaseAway


class Doubles:
    """A call that doubles numbers, refuses 13, and may be held up or made to fail."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.failure: Exception | None = None

    async def call(self, numbers: Sequence[int]) -> list[int | Exception]:
        """The answers, in the order asked."""
        self.asked.append(list(numbers))
        await self.goes_on.wait()
        if self.failure is not None:
            raise self.failure
        return [ValueError("13") if number == 13 else 2 * number for number in numbers]


@pytest.fixture
def doubles() -> Doubles:
    """Ready to answer."""
    return Doubles()


async def until_asked(doubles: Doubles, times: int) -> None:
    """Waits for the call of that number to have begun."""
    async with asyncio.timeout(5.0):
        while len(doubles.asked) < times:  # noqa: ASYNC110 - a task of the test asks
            await asyncio.sleep(0)


async def test_those_who_ask_at_once_share_a_call(doubles: Doubles) -> None:
    """Each gets the own answer; what is asked twice is asked once."""
    batcher = Batcher(doubles.call, size=10, window_s=0.01)
    found = await asyncio.gather(*(batcher.ask(number) for number in (3, 1, 2, 3)))
    assert found == [6, 2, 4, 6]
    assert doubles.asked == [[3, 1, 2]]


async def test_one_refusal_is_told_to_whom_it_is_meant_for(doubles: Doubles) -> None:
    """And to both who asked the same."""
    batcher = Batcher(doubles.call, size=10)
    found = await asyncio.gather(
        *(batcher.ask(number) for number in (1, 13, 2, 13)), return_exceptions=True
    )
    assert [type(answer) for answer in found] == [int, ValueError, int, ValueError]
    assert len(doubles.asked) == 1


async def test_a_call_that_fails_fails_for_all_and_the_next_is_made(doubles: Doubles) -> None:
    """A server that is away is away for everybody of that call, and for nobody else."""
    batcher = Batcher(doubles.call, size=10)
    doubles.failure = DatabaseAway("gone")
    found = await asyncio.gather(*(batcher.ask(n) for n in range(3)), return_exceptions=True)
    assert [type(answer) for answer in found] == [DatabaseAway] * 3
    doubles.failure = None
    assert await batcher.ask(4) == 8


async def test_more_than_fit_are_asked_by_another_call(doubles: Doubles) -> None:
    """None is larger than its size, and nobody is forgotten."""
    batcher = Batcher(doubles.call, size=4)
    assert await asyncio.gather(*(batcher.ask(n) for n in range(10))) == [2 * n for n in range(10)]
    assert [len(numbers) for numbers in doubles.asked] == [4, 4, 2]


@pytest.mark.parametrize(("longest_s", "shared"), [(60.0, True), (0.0, False)])
async def test_a_batch_stays_open_while_they_come_and_not_for_ever(
    doubles: Doubles, longest_s: float, *, shared: bool
) -> None:
    """Somebody in each window is a storm; who comes after it is another batch's."""
    batcher = Batcher(doubles.call, size=100, window_s=0.02, longest_s=longest_s)
    async with asyncio.TaskGroup() as group:
        for number in range(20, 40):
            group.create_task(batcher.ask(number))
            await asyncio.sleep(0.002)
    assert (len(doubles.asked) == 1) is shared
    assert [n for numbers in doubles.asked for n in numbers] == list(range(20, 40))
    await batcher.ask(40)
    assert doubles.asked[-1] == [40]


async def test_who_asks_while_a_call_is_under_way_gets_the_answer_of_a_later_one(
    doubles: Doubles,
) -> None:
    """What was read before somebody asked is not told as the present state; meanwhile all gather."""
    batcher = Batcher(doubles.call, size=10)
    doubles.goes_on.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(batcher.ask(1))
        await until_asked(doubles, 1)
        later = [group.create_task(batcher.ask(number)) for number in (1, 2)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert doubles.asked == [[1]]
        doubles.goes_on.set()
    assert [task.result() for task in later] == [2, 4]
    assert doubles.asked == [[1], [1, 2]]


async def test_who_leaves_takes_nobody_along(doubles: Doubles) -> None:
    """Whoever makes the call may be cancelled in the middle of it: the others ask again."""
    batcher = Batcher(doubles.call, size=10)
    doubles.goes_on.clear()
    first = asyncio.create_task(batcher.ask(1))
    others = [asyncio.create_task(batcher.ask(number)) for number in (2, 3)]
    await until_asked(doubles, 1)
    first.cancel()
    others[1].cancel()
    doubles.goes_on.set()
    assert await others[0] == 4
    assert doubles.asked == [[1, 2, 3], [2]]
    assert first.cancelled()
    assert others[1].cancelled()

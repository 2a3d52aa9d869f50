"""Work that one process does for all: divided by leases, by the clock that decides."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from engine.kernel.leases import Lease
from tests.engine.money import clock
from tests.support.market import Market

HELD_S = 30.0


def lease(market: Market, name: str = "work", held_s: float = HELD_S) -> Lease:
    """The lease as one more process has it."""
    return Lease(market.store, name, held_s=held_s, holder=uuid4())


class Work:
    """A round that waits until it is let go, and counts how many are in it."""

    def __init__(self) -> None:
        self.rounds = 0
        self.inside = 0
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self) -> None:
        """One round."""
        self.rounds += 1
        self.inside += 1
        assert self.inside == 1
        self.began.set()
        await self.may_end.wait()
        self.inside -= 1


async def nothing() -> None:
    """A round without work."""


async def test_of_ten_processes_one_works(own_market: Market) -> None:
    """The others go on without waiting for it; a lease of another name is another's."""
    work = Work()
    working = [asyncio.create_task(lease(own_market).run(work, every_s=60)) for _ in range(10)]
    done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
    await work.began.wait()
    assert await lease(own_market, "other").run(nothing, every_s=60)
    work.may_end.set()
    assert sorted(await asyncio.gather(*working)) == [False] * 9 + [True]
    assert work.rounds == 1
    assert not any(task.result() for task in done)


async def test_what_was_done_is_due_again_after_its_interval_and_not_before(
    own_market: Market,
) -> None:
    """From the beginning of the round, whoever did it."""
    await clock.stop(own_market.owner)
    assert await lease(own_market).run(nothing, every_s=60)
    await clock.advance(own_market.owner, 59.999)
    assert not await lease(own_market).run(nothing, every_s=60)
    await clock.advance(own_market.owner, 0.001)
    assert await lease(own_market).run(nothing, every_s=60)


async def test_what_a_killed_process_had_is_free_when_its_lease_ends(own_market: Market) -> None:
    """Not a moment before; that it was once done does not count."""
    await clock.stop(own_market.owner)
    take = "select take_lease('work', gen_random_uuid(), interval '30 s', interval '1 hour')"
    assert await own_market.app.fetchval(take) is not None
    await clock.advance(own_market.owner, 29.999)
    assert not await lease(own_market).run(nothing, every_s=3600)
    await clock.advance(own_market.owner, 0.001)
    assert await lease(own_market).run(nothing, every_s=3600)


async def test_work_that_takes_longer_than_its_lease_keeps_it(own_market: Market) -> None:
    """The holder renews it; nobody else begins."""
    work = Work()
    working = asyncio.create_task(lease(own_market, held_s=0.3).run(work, every_s=0))
    await work.began.wait()
    taken_at = await own_market.app.fetchval("select taken_at from leases where name = 'work'")
    renewed = "select held_until > $1::timestamptz + interval '1 s' from leases where name = 'work'"
    async with asyncio.timeout(20):
        while not await own_market.app.fetchval(renewed, taken_at):
            assert not await lease(own_market).run(nothing, every_s=0)
            await asyncio.sleep(0.05)
    work.may_end.set()
    assert await working


async def test_a_round_that_fails_leaves_the_work_to_the_next(own_market: Market) -> None:
    """At once, as it was not done."""

    async def failing() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await lease(own_market).run(failing, every_s=3600)
    assert await lease(own_market).run(nothing, every_s=3600)


async def test_who_comes_back_late_takes_nothing_from_the_new_holder(own_market: Market) -> None:
    """A process that was stopped for longer than its lease, and wakes at the end of its round."""
    stopped, new = Work(), Work()
    late = asyncio.create_task(lease(own_market).run(stopped, every_s=3600))
    await stopped.began.wait()
    await own_market.advance("31 seconds")
    working = asyncio.create_task(lease(own_market).run(new, every_s=3600))
    await new.began.wait()
    stopped.may_end.set()
    await late
    assert not await lease(own_market).run(nothing, every_s=0)
    new.may_end.set()
    assert await working

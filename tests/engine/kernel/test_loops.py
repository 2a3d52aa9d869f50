"""Loops go on after a failed round, and wait longer the more fail in a row."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.loops import Backoff, supervise
from sql.database import DatabaseAway

NO_WAIT = Backoff(0.0)


@given(st.floats(0.001, 10), st.floats(0.001, 100), st.integers(1, 10_000), st.integers())
def test_a_wait_doubles_up_to_its_bound_and_is_jittered_by_at_most_half(
    first_s: float, longest_s: float, failures: int, seed: int
) -> None:
    """Whatever the number of failures."""
    plain = Backoff(first_s, longest_s)
    assert plain.after(1) == first_s
    assert first_s <= plain.after(failures) <= max(first_s, longest_s)
    assert plain.after(failures + 1) >= plain.after(failures)
    jittered = Backoff(first_s, longest_s, Random(seed)).after(failures)
    assert plain.after(failures) / 2 <= jittered <= plain.after(failures)


def test_without_a_bound_every_wait_is_the_first() -> None:
    """As loops have it that need no more."""
    assert {Backoff(2.0).after(failures) for failures in (1, 2, 50)} == {2.0}


@pytest.mark.parametrize("error", [DatabaseAway("gone"), ValueError("a defect")])
async def test_a_failed_round_is_reported_and_the_next_one_comes(error: Exception) -> None:
    """A lost server and a defect alike."""
    failed: list[str] = []
    outcomes = iter([error, None, error, error])
    done = asyncio.Event()

    async def work() -> None:
        outcome = next(outcomes, done)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is done:
            done.set()
            await asyncio.Event().wait()

    loop = asyncio.create_task(supervise("rounds", work, backoff=NO_WAIT, failed=failed.append))
    await done.wait()
    loop.cancel()
    assert failed == ["rounds"] * 3


async def test_a_cancelled_loop_ends() -> None:
    """A cancellation is no failure."""
    failed: list[str] = []
    loop = asyncio.create_task(
        supervise("rounds", asyncio.Event().wait, failed=failed.append)  # type: ignore[arg-type]
    )
    await asyncio.sleep(0)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert failed == []

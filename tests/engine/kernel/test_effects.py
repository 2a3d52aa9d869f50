"""Who hears of a committed command, and what one that fails costs the others."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from engine.kernel.applied import Applied
from engine.kernel.effects import Effects
from engine.kernel.errors import Refusal
from engine.kernel.execution import Execution
from engine.kernel.wake import Wake
from tests.support.market import Market, RecordingEffects


class Broken:
    """A subscriber with a defect."""

    def applied(self, applied: Applied) -> None:
        """Raises."""
        raise ValueError(f"a defect at {applied.task_id}")


async def test_a_subscriber_that_raises_is_counted_and_no_other_notices(market: Market) -> None:
    """Neither those before and after it, nor the command, whose commit stands."""
    before, after = RecordingEffects(), RecordingEffects()
    failed: list[str] = []
    execution = Execution(market.store, Effects([before, Broken(), after], failed.append))
    hustler = await market.user("hustler")
    applied = await execution.run("go_live", hustler, None, None)
    assert before.committed == after.committed == [applied]
    assert failed == ["Broken"]
    assert (await market.queries.live.state(hustler)).state == "ACTIVE"


async def test_what_was_refused_is_told_to_nobody(market: Market) -> None:
    """Nothing was committed, so there is nothing to hear of."""
    heard = RecordingEffects()
    execution = Execution(market.store, Effects([heard], str))
    with pytest.raises(Refusal):
        await execution.run("accept_task", await market.user("hustler"), uuid4(), None)
    assert heard.committed == []


async def test_a_refusal_that_committed_something_is_told_first(market: Market) -> None:
    """A wrong code is counted in the database, and then refused."""
    heard = RecordingEffects()
    execution = Execution(market.store, Effects([heard], str))
    task, hustler = await market.accepted()
    with pytest.raises(Refusal) as caught:
        await execution.run("start_task", hustler, task, False)
    assert caught.value.kind.code == "HX018"
    assert [applied.refused is not None for applied in heard.committed] == [True]


async def test_a_loop_wakes_for_what_concerns_it_alone() -> None:
    """One wake for any number of commands; the next wait waits again."""
    wake = Wake(lambda applied: applied.settle)
    wake.applied(Applied())
    waiting = asyncio.create_task(wake.wait(3_600.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    wake.applied(Applied(settle=True))
    wake.applied(Applied(settle=True))
    await waiting
    waiting = asyncio.create_task(wake.wait(3_600.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()

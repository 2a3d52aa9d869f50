"""What the feed passes on: each change once to everybody, whoever fails, and how old it knows to be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from engine.events.changes import ChangeFeed, Changes, ChangeSubscriber, Horizon
from engine.kernel.ids import UserId
from sql.database import DatabaseError
from tests.support.market import Market


class Recorder:
    """A subscriber that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Changes] = []

    def changed(self, changes: Changes) -> None:
        """Keeps it."""
        self.heard.append(changes)


class Broken:
    """A subscriber with a defect."""

    def changed(self, changes: Changes) -> None:
        """Raises."""
        raise ValueError(f"a defect at {changes.now}")


def feed_of(
    market: Market, subscribers: Sequence[ChangeSubscriber], failed: Callable[[str], object] = str
) -> ChangeFeed:
    """A feed that is asked, not run."""
    return ChangeFeed(market.store, subscribers, every_s=3_600.0, failed=failed)


async def caught_up(feed: ChangeFeed, market: Market) -> None:
    """Asks until everything that has committed by now is below the horizon."""
    now = int(await market.owner.fetchval("select pg_current_xact_id()::text"))
    await feed.ask()
    while feed._horizon.xid is None or feed._horizon.xid <= now:
        await asyncio.sleep(0.005)
        await feed.ask()


def hustlers(recorder: Recorder) -> list[UserId]:
    """Whom it heard of."""
    return [hustler for changes in recorder.heard for hustler in changes.hustlers]


async def test_everything_may_have_changed_at_first_and_then_what_did(own_market: Market) -> None:
    """Where nothing did, all that is said is what time it is."""
    market, recorder = own_market, Recorder()
    feed = feed_of(market, [recorder])
    user = await market.user("hustler")
    await caught_up(feed, market)
    first, *_ = recorder.heard
    assert first.all_may_have_changed
    assert not first.hustlers
    recorder.heard.clear()
    await caught_up(feed, market)
    assert recorder.heard
    assert not any(recorder.heard)
    await market.owner.execute("update users set trust_tier = 3 where id = $1", user)
    await caught_up(feed, market)
    assert hustlers(recorder) == [user]
    assert not any(changes.all_may_have_changed for changes in recorder.heard)


async def test_a_subscriber_that_raises_is_counted_and_no_other_notices(market: Market) -> None:
    """Neither before nor after it, nor the next call."""
    before, after = Recorder(), Recorder()
    failed: list[str] = []
    feed = feed_of(market, [before, Broken(), after], failed.append)
    await feed.ask()
    assert len(before.heard) == len(after.heard) == 1
    assert failed == ["Broken"]


async def test_a_call_that_fails_loses_nothing(own_market: Market) -> None:
    """The horizon stands where the last answer left it."""
    market, recorder = own_market, Recorder()
    feed = feed_of(market, [recorder])
    user = await market.user("hustler")
    await caught_up(feed, market)
    recorder.heard.clear()
    await market.owner.execute("alter function changes_since rename to changes_elsewhere")
    await market.owner.execute("update users set trust_tier = 3 where id = $1", user)
    with pytest.raises(DatabaseError):
        await feed.ask()
    await market.owner.execute("alter function changes_elsewhere rename to changes_since")
    await caught_up(feed, market)
    assert hustlers(recorder) == [user]
    assert not any(changes.all_may_have_changed for changes in recorder.heard)


def test_a_horizon_is_as_old_as_the_last_moment_of_which_all_is_known() -> None:
    """It grows while an old transaction holds it back, and by what overlapped it afterwards."""
    horizon = Horizon(now=0.0)
    assert horizon.age(3.0) == 3.0  # nothing is known yet
    horizon.moved(10, 10, "a", asked_at=4.0)
    assert horizon.age(5.0) == 1.0
    horizon.moved(10, 14, "a", asked_at=5.0)  # 10 has begun, 13 has ended
    horizon.moved(10, 20, "a", asked_at=6.0)
    assert horizon.age(6.0) == 2.0
    horizon.moved(15, 22, "a", asked_at=7.0)  # now 15 holds it; all before 14 is known
    assert horizon.age(7.0) == 2.0
    horizon.moved(22, 22, "a", asked_at=8.0)
    assert horizon.age(8.5) == 0.5
    horizon.moved(3, 5, "b", asked_at=9.0)  # another server
    assert horizon.age(9.0) == 1.0
    horizon.moved(6, 6, "b", asked_at=10.0)
    assert horizon.age(10.0) == 0.0

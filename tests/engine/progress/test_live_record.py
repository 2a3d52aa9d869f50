"""The LIVE record, and what a poor one leads to at the moment of the event."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from engine.kernel.ids import UserId
from tests.engine.progress.history_builder import HistoryBuilder, ask
from tests.support.market import Market

DAY = timedelta(days=1)


async def status(market: Market, hustler: UserId) -> Any:
    """The row of live_status."""
    return await market.app.fetchrow("select * from live_status where user_id = $1", hustler)


async def lose(market: Market, hustler: UserId) -> tuple[datetime, list[tuple[str, Any]]]:
    """A LIVE dispute lost now; when, and what was told of LIVE mode."""
    at = await market.queries.clock.now()
    task = (await HistoryBuilder(market, hustler).lost(mode="LIVE", at=at))[0]
    received = await ask(market, "record_lost", task)
    return at, [(kind, data) for kind, data in received if kind == "LIVE_MODE_STATE_CHANGE"]


@pytest.mark.parametrize(
    ("completed", "total", "expected"),
    [
        (800, 1_000, None),
        (799, 1_000, "PAUSED"),
        (700, 1_000, "PAUSED"),
        (699, 1_000, "BANNED"),
        (8, 10, None),
        (7, 10, "PAUSED"),
        (6, 10, "BANNED"),
        (0, 9, None),
    ],
)
async def test_a_poor_completion_rate_pauses_or_bans(
    market: Market, completed: int, total: int, expected: str | None
) -> None:
    """Below 80 % a week's pause, below 70 % a month's ban, from 10 LIVE tasks on."""
    hustler = await market.live_hustler()
    history = HistoryBuilder(market, hustler)
    await history.completed(completed, "LIVE")
    await history.lost(total - completed - 1, "LIVE", await market.queries.clock.now() - 200 * DAY)
    at, received = await lose(market, hustler)

    row = await status(market, hustler)
    live = await market.queries.live.state(hustler)
    if expected is None:
        assert (live.state, received) == ("ACTIVE", [])
        assert (row["paused_until"], row["banned_until"]) == (None, None)
    elif expected == "PAUSED":
        assert (live.state, live.reason, live.ends_at) == (
            "PAUSED",
            "COMPLETION_RATE",
            at + 7 * DAY,
        )
        assert [data["state"] for _, data in received] == ["PAUSED"]
        assert row["session_id"] is not None
    else:
        assert (live.state, live.reason, live.ends_at) == ("OFF", "BANNED", at + 30 * DAY)
        assert [(data["state"], data["reason"]) for _, data in received] == [("OFF", "BANNED")]
        assert row["session_id"] is None
        session = await market.app.fetchrow(
            "select * from live_sessions where user_id = $1", hustler
        )
        assert session["end_reason"] == "FORCED"


async def test_the_tenth_task_is_checked_and_later_completions_are_not(own_market: Market) -> None:
    """6 of 10 with the tenth done: banned; who comes back and does well is not banned again."""
    market = own_market
    hustler = await market.user("hustler")
    history = HistoryBuilder(market, hustler)
    await history.completed(5, "LIVE")
    await history.abandoned(4, "LIVE")
    done = (await history.completed(1, "LIVE"))[0]
    await ask(market, "record_completed", done.task)
    assert (await market.queries.live.state(hustler)).reason == "BANNED"

    await market.advance("31 days")
    done = (await history.completed(1, "LIVE", at=await market.queries.clock.now()))[0]
    await ask(market, "record_completed", done.task)
    assert (await market.queries.live.state(hustler)).reason is None


async def give_up(
    market: Market, hustler: UserId, kind: str, ago: timedelta = timedelta(), mode: str = "LIVE"
) -> list[tuple[str, Any]]:
    """A task given back; what was told of LIVE mode."""
    at = await market.queries.clock.now() - ago
    task = (await HistoryBuilder(market, hustler).held(mode=mode, at=at))[0]  # type: ignore[arg-type]
    received = await ask(market, "record_given_up", task, kind, at)
    return [(name, data) for name, data in received if name == "LIVE_MODE_STATE_CHANGE"]


@pytest.mark.parametrize(("days", "is_banned"), [(29, True), (31, False)])
async def test_two_abandonments_in_thirty_days_ban_for_a_week(
    market: Market, days: int, *, is_banned: bool
) -> None:
    """LIVE ones, given back late or not come to; the return is refused as HX905."""
    hustler = await market.live_hustler()
    assert await give_up(market, hustler, "RELEASED", timedelta(days=days)) == []
    assert await give_up(market, hustler, "RELEASED", mode="STANDARD") == []
    assert await give_up(market, hustler, "QUICK") == []
    received = await give_up(market, hustler, "NO_SHOW")
    assert bool(received) is is_banned
    live = await market.queries.live.state(hustler)
    assert (live.reason == "BANNED") is is_banned
    if is_banned:
        assert live.ends_at is not None
        left = live.ends_at - await market.queries.clock.now()
        assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
        with pytest.raises(Exception, match="banned"):
            await market.commands.live.go_live(hustler, None, None)


@pytest.mark.parametrize(("hours", "is_paused"), [(23, True), (25, False)])
async def test_three_quick_releases_in_a_day_pause_for_half_an_hour(
    market: Market, hours: int, *, is_paused: bool
) -> None:
    """Accepting and giving back again and again is griefing, though each is free."""
    hustler = await market.live_hustler()
    assert await give_up(market, hustler, "QUICK", timedelta(hours=hours)) == []
    assert await give_up(market, hustler, "QUICK") == []
    assert bool(await give_up(market, hustler, "QUICK")) is is_paused
    live = await market.queries.live.state(hustler)
    assert (live.state, live.reason) == (
        ("PAUSED", "QUICK_RELEASES") if is_paused else ("ACTIVE", None)
    )


async def test_a_shorter_pause_does_not_end_a_longer_one(market: Market) -> None:
    """Half an hour for quick releases inside a week for the rate: the week stands, and its reason."""
    hustler = await market.live_hustler()
    history = HistoryBuilder(market, hustler)
    await history.completed(7, "LIVE")
    await history.lost(2, "LIVE", await market.queries.clock.now() - 200 * DAY)
    at, _ = await lose(market, hustler)
    for _ in range(3):
        assert await give_up(market, hustler, "QUICK") == []
    live = await market.queries.live.state(hustler)
    assert (live.reason, live.ends_at) == ("COMPLETION_RATE", at + 7 * DAY)


async def test_a_banned_hustler_keeps_the_task_they_hold(market: Market) -> None:
    """The session ends, the work goes on and is paid."""
    task, hustler = await market.accepted()
    await give_up(market, hustler, "NO_SHOW")
    assert await give_up(market, hustler, "NO_SHOW") != []
    assert (await market.queries.live.state(hustler)).state == "OFF"
    await market.commands.tasks.start(hustler, task, market.codes.code(task, "START", 1))
    await market.commands.proofs.submit(hustler, task, market.codes.code(task, "COMPLETION", 1))
    assert await market.state(task) == "PROOF_SUBMITTED"


async def test_declines_say_their_own_reason(market: Market) -> None:
    """Five in a row: PAUSED with DECLINES."""
    hustler = await market.live_hustler()
    for _ in range(5):
        task = await market.funded()
        await market.offer(task, hustler)
        await market.commands.live.respond(hustler, await market.broadcast_of(task), "DECLINE")
    live = await market.queries.live.state(hustler)
    assert (live.state, live.reason) == ("PAUSED", "DECLINES")


async def test_the_record_in_figures(own_market: Market) -> None:
    """Tasks, rate, seconds to the accept, accuracy of the arrival, earnings after the fee, silence."""
    market = own_market
    hustler = await market.user("hustler")
    empty = (await market.queries.progress.progress(hustler)).live_record
    assert (empty.total_live_tasks, empty.live_earnings_total, empty.no_responses) == (0, 0, 0)
    assert empty.live_completion_rate is empty.average_response_time_seconds is None
    assert empty.average_eta_accuracy is None

    history = HistoryBuilder(market, hustler)
    await history.completed(3, "LIVE", price_cents=3_333)
    await history.completed(5, "STANDARD", price_cents=3_333)
    await history.lost(1, "LIVE", await market.queries.clock.now() - 200 * DAY)
    await history.abandoned(1, "LIVE")
    await history.abandoned(1, "LIVE", kind="QUICK")
    await market.commands.live.go_live(hustler, None, None)
    ignored, missed, taken = await market.funded(), await market.funded(), await market.funded()
    for task in (ignored, missed, taken):
        await market.offer(task, hustler)
    await sent(market, hustler)
    await market.advance("60 seconds")
    await market.commands.tasks.cancel(await market.poster_of(missed), missed, None)
    await market.commands.live.accept(hustler, taken)
    await market.advance("61 seconds")
    await arrived(market, taken, planned=600, late=150)

    row = await market.app.fetchrow("select * from live_record($1)", hustler)
    assert (row["total_live_tasks"], row["live_completion_rate"]) == (5, 0.6)
    assert row["average_response_time_seconds"] == pytest.approx(60, abs=5)
    assert row["average_eta_accuracy"] == pytest.approx(0.75)
    assert row["live_earnings_total"] == 3 * (3_333 - 499)
    assert row["no_responses"] == 1
    shown = (await market.queries.progress.progress(hustler)).live_record
    assert json.loads(json.dumps(dict(row))) == {
        name: getattr(shown, name) for name in shown.__struct_fields__
    }


async def sent(market: Market, hustler: UserId) -> None:
    """The cards were written to a socket."""
    await market.app.execute(
        "update offers set sent_at = hx_clock() where hustler_id = $1", hustler
    )


async def arrived(market: Market, task: Any, planned: int, late: int) -> None:
    """The hustler was expected after `planned` seconds and came `late` seconds after that."""
    await market.owner.execute("alter table tasks disable trigger user")
    await market.owner.execute(
        "update tasks set eta_at = accepted_at + make_interval(secs => $2),"
        " arrived_at = accepted_at + make_interval(secs => $2::int + $3::int) where id = $1",
        task,
        planned,
        late,
    )
    await market.owner.execute("alter table tasks enable trigger user")

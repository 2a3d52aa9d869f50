"""Accounts that an admin shuts, bans and marks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from engine.kernel.ids import UserId
from tests.gateway.http.admin.traffic import WHY, Traffic
from tests.support.market import Market
from tests.support.rest import People, Person

HERE = {"location": {"lat": 51.5, "lng": -0.1}}


async def session_of(market: Market, user: UUID) -> str | None:
    """How the newest LIVE session of a user ended."""
    reason: str | None = await market.app.fetchval(
        "select end_reason from live_sessions where user_id = $1 order by started_at desc limit 1",
        user,
    )
    return reason


async def last_event(market: Market, user: UUID) -> asyncpg.Record:
    """The newest event of a user."""
    row = await market.app.fetchrow(
        "select type, data ->> 'state' as state, data ->> 'reason' as reason from user_events"
        " where user_id = $1 order by seq desc limit 1",
        user,
    )
    assert row is not None
    return row


async def test_a_suspension_shuts_everything_at_once(
    admin: Person, people: People, market: Market
) -> None:
    """The LIVE session ends FORCED and says so, the token is refused; reinstated, it works again."""
    hustler = await people.person("hustler")
    await hustler.good("POST", "/v1/live", HERE)
    path = f"/v1/admin/users/{hustler.user_id}"
    file = await admin.good("POST", f"{path}/suspend", {"reason": WHY})
    assert (file["account_status"], file["live"]["state"]) == ("SUSPENDED", "OFF")
    assert await session_of(market, hustler.user_id) == "FORCED"
    assert tuple(await last_event(market, hustler.user_id)) == (
        "LIVE_MODE_STATE_CHANGE",
        "OFF",
        "FORCED",
    )
    assert (await hustler.call("GET", "/v1/me")).refusal()[:2] == (403, "HX503")

    file = await admin.good("POST", f"{path}/reinstate", {"reason": WHY})
    assert file["account_status"] == "ACTIVE"
    await hustler.good("GET", "/v1/me")
    await hustler.good("POST", "/v1/live", HERE)


async def test_a_ban_ends_the_session_and_guards_the_return(
    admin: Person, people: People, market: Market
) -> None:
    """HX905 until then; the event says until when; lifting it lets the hustler in again."""
    hustler = await people.person("hustler")
    await hustler.good("POST", "/v1/live", HERE)
    path = f"/v1/admin/users/{hustler.user_id}/live-ban"
    until = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    file = await admin.good("POST", path, {"until": until, "reason": WHY})
    assert datetime.fromisoformat(file["banned_until"]) == datetime.fromisoformat(until)
    assert await session_of(market, hustler.user_id) == "FORCED"
    assert tuple(await last_event(market, hustler.user_id)) == (
        "LIVE_MODE_STATE_CHANGE",
        "OFF",
        "BANNED",
    )
    assert (await hustler.call("POST", "/v1/live", HERE)).refusal() == (403, "HX905", "LIVE-BAN")

    file = await admin.good("POST", path, {"until": None, "reason": WHY})
    assert file["banned_until"] is None
    await hustler.good("POST", "/v1/live", HERE)


@pytest.mark.parametrize("days", [-1, 4_000])
async def test_a_ban_ends_in_our_time(admin: Person, people: People, days: int) -> None:
    """Neither in the past nor beyond ten years."""
    hustler = await people.person("hustler")
    until = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    path = f"/v1/admin/users/{hustler.user_id}/live-ban"
    answer = await admin.call("POST", path, {"until": until, "reason": WHY})
    assert answer.refusal()[:2] == (422, "VALIDATION_ERROR")
    assert "ten years" in answer.body["detail"]


@pytest.mark.parametrize("until", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_ban_until_the_ends_of_time_is_a_plain_refusal(
    admin: Person, people: People, until: str
) -> None:
    """Never a 500."""
    hustler = await people.person("hustler")
    path = f"/v1/admin/users/{hustler.user_id}/live-ban"
    answer = await admin.call("POST", path, {"until": until, "reason": WHY})
    assert answer.refusal()[:2] == (422, "VALIDATION_ERROR")


async def test_a_held_task_stays_with_a_suspended_hustler(admin: Person, scenes: Traffic) -> None:
    """It shows in the admin queue, and an admin decides: here, the poster gets everything back."""
    task, hustler = await scenes.accepted()
    await admin.good("POST", f"/v1/admin/users/{hustler}/suspend", {"reason": WHY})
    assert await scenes.market.state(task) == "ACCEPTED"
    stuck = await admin.good("GET", "/v1/admin/tasks/stuck?kind=HOLDER_SUSPENDED&limit=50")
    assert str(task) in [item["task_id"] for item in stuck["items"]]
    view = await admin.good("POST", f"/v1/admin/tasks/{task}/cancel", {"reason": WHY})
    assert view["state"] == "CANCELLED"


async def test_a_flag_marks_an_award_and_leaves_it_as_it_is(admin: Person, scenes: Traffic) -> None:
    """Architecture §8.4: the row and the total stay; the first reason stays, too (HX801)."""
    market = scenes.market
    task = await scenes.scene_completed()
    row = "select * from xp_ledger where task_id = $1"
    before = await market.app.fetchrow(row, task)
    assert before is not None
    path = f"/v1/admin/xp/{before['id']}/flag"
    flagged = await admin.good("POST", path, {"reason": "A farm."})
    assert flagged["flag"]["reason"] == "A farm."
    again = await admin.good("POST", path, {"reason": "Still a farm."})
    assert again == flagged
    assert await market.app.fetchrow(row, task) == before
    file = await admin.good("GET", f"/v1/admin/users/{before['user_id']}")
    assert file["total_xp"] == before["user_xp_after"]
    assert [award["flag"]["reason"] for award in file["xp"]] == ["A farm."]
    for statement in ("delete from xp_flags", "update xp_flags set reason = 'no'"):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await market.app.execute(statement)
        assert caught.value.sqlstate == "HX801"


async def test_unlocked_codes_may_be_tried_at_once(admin: Person, scenes: Traffic) -> None:
    """Five wrong codes lock; the admin lifts it."""
    market = scenes.market
    task, hustler = await scenes.accepted()
    await market.app.execute(
        "update task_codes set locked_until = hx_clock() + interval '15 minutes' where task_id = $1",
        task,
    )
    await admin.good("POST", f"/v1/admin/tasks/{task}/unlock-codes", {"reason": WHY})
    await scenes.start(task, hustler)
    assert await market.state(task) == "WORKING"


async def test_an_admin_brings_a_task_into_dispute_and_not_an_ended_one(
    admin: Person, scenes: Traffic
) -> None:
    """Opened by ADMIN over held money; HX010 and HX001 for what has ended."""
    task, hustler = await scenes.accepted()
    await scenes.start(task, hustler)
    path = f"/v1/admin/tasks/{task}"
    view = await admin.good("POST", f"{path}/dispute", {"reason": WHY})
    assert view["state"] == "DISPUTED"
    file = await admin.good("GET", f"/v1/admin/disputes/{await scenes.dispute_of(task)}")
    assert (file["dispute"]["side"], file["escrow_state"]) == ("ADMIN", "LOCKED_DISPUTE")
    answer = await admin.call("POST", f"{path}/cancel", {"reason": WHY})
    assert answer.refusal() == (409, "HX010", "TRANSITION")
    done = await scenes.scene_completed()
    answer = await admin.call("POST", f"/v1/admin/tasks/{done}/cancel", {"reason": WHY})
    assert answer.refusal() == (409, "HX001", "TASK-TERMINAL")


async def test_no_admin_means_no_act_whoever_asks_the_database(scenes: Traffic) -> None:
    """HX503 from the function itself, for a poster and for a suspended admin."""
    market = scenes.market
    other = await market.user("admin", 1)
    await scenes.admin_api.people.suspend(scenes.admin, other, WHY)
    hustler = await market.user("hustler")
    for nobody in (await market.user("poster"), other):
        for call in (
            "suspend_user($1, $2, 'x')",
            "reinstate_user($1, $2, 'x')",
            "live_ban($1, $2, hx_clock() + interval '1 day', 'x')",
            "lift_live_ban($1, $2, 'x')",
            "admin_set_payout_account($1, $2, 'acct', true, 'x')",
            "flag_xp($1, $2, 'x')",
            "retry_settlement($1, $2, 'x')",
            "book_leg_by_hand($1, $2, 'REFUND', 're', 'x')",
            "requeue_settlement($1, $2, 'x')",
            "admin_cancel_task($1, $2, 'x')",
            "admin_dispute_task($1, $2, 'x')",
            "unlock_codes($1, $2, 'x')",
            "close_admin_item($1, $2, 'x')",
        ):
            with pytest.raises(asyncpg.PostgresError) as caught:
                await market.app.execute(f"select {call}", nobody, hustler)
            assert caught.value.sqlstate == "HX503", call


async def open_items(market: Market, subject: UUID) -> int:
    """How many POSTER_SUSPENDED items wait about a task."""
    count: int = await market.app.fetchval(
        "select count(*) from admin_items"
        " where kind = 'POSTER_SUSPENDED' and subject = $1 and closed_at is null",
        str(subject),
    )
    return count


async def test_a_suspended_poster_offers_nothing(
    admin: Person, people: People, scenes: Traffic, market: Market
) -> None:
    """The broadcast ends, nobody accepts LIVE or STANDARD, the money waits; then it goes on."""
    poster = await market.user("poster")
    live, standard = [await market.funded(mode, poster=poster) for mode in ("LIVE", "STANDARD")]
    held, holder = await market.accepted("STANDARD", poster=poster)
    hustler = await people.person("hustler")
    await hustler.good("POST", "/v1/live", HERE)
    await market.offer(live, UserId(hustler.user_id))
    path = f"/v1/admin/users/{poster}"
    await admin.good("POST", f"{path}/suspend", {"reason": WHY})

    assert (await hustler.good("GET", "/v1/offers"))["items"] == []
    late = await hustler.call("POST", f"/v1/tasks/{live}/accept", {})
    assert late.refusal() == (409, "HX015", "LIVE-5")
    barred = await hustler.call("POST", f"/v1/tasks/{standard}/accept", {})
    assert barred.refusal()[:2] == (403, "HX012")
    for task in (live, standard):
        assert (await market.escrow_state(task), await open_items(market, task)) == ("FUNDED", 1)
    # what somebody holds already goes on
    await market.commands.tasks.start(holder, held, market.codes.code(held, "START", 1))
    assert await open_items(market, held) == 0

    await admin.good("POST", f"{path}/reinstate", {"reason": WHY})
    assert [await open_items(market, task) for task in (live, standard)] == [0, 0]
    await market.commands.live.accept(UserId(hustler.user_id), standard)
    await market.commands.tasks.choose(poster, live, "SWITCH_TO_STANDARD")
    assert await market.state(live) == "CANCELLED"


async def test_money_that_comes_for_a_suspended_poster_starts_nothing(
    admin: Person, market: Market
) -> None:
    """A payment under way, and work given back: no broadcast; an admin gives the money back."""
    poster = await market.user("poster")
    unpaid = await market.task("LIVE", poster=poster)
    given_back, hustler = await market.accepted("LIVE", poster=poster)
    await admin.good("POST", f"/v1/admin/users/{poster}/suspend", {"reason": WHY})
    await market.commands.money.fund(poster, unpaid)
    await market.commands.tasks.release(hustler, given_back, None)
    successor = await market.app.fetchval(
        "select id from tasks where predecessor_id = $1", given_back
    )
    for task in (unpaid, successor):
        running = "select count(*) from live_broadcasts where task_id = $1"
        assert await market.app.fetchval(running, task) == 0
        assert (await market.state(task), await open_items(market, task)) == ("MATCHING", 1)
        await admin.good("POST", f"/v1/admin/tasks/{task}/cancel", {"reason": WHY})
        assert (await market.state(task), await open_items(market, task)) == ("CANCELLED", 0)


async def test_one_session_or_one_cooldown_ends_without_a_ban(
    admin: Person, people: People, market: Market
) -> None:
    """END_SESSION, SET_COOLDOWN, END_COOLDOWN: each with its act, each told to the hustler."""
    hustler = await people.person("hustler")
    path = f"/v1/admin/users/{hustler.user_id}/live"

    async def done(act: str, **more: object) -> tuple[object, ...]:
        file = await admin.good("POST", path, {"act": act, "reason": WHY} | more)
        live = file["live"]
        return live["state"], live.get("reason"), *(await last_event(market, hustler.user_id))[1:]

    await hustler.good("POST", "/v1/live", HERE)
    assert await done("END_SESSION") == ("OFF", None, "OFF", "FORCED")
    await hustler.good("POST", "/v1/live", HERE)
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    cooling = ("COOLDOWN", "ADMIN", "COOLDOWN", "ADMIN")
    assert await done("SET_COOLDOWN", until=until) == cooling
    # it outlives the session, and may be made shorter
    assert (await done("END_SESSION"))[:2] == ("OFF", None)
    live = await hustler.good("POST", "/v1/live", HERE)
    assert (live["state"], live["reason"]) == ("COOLDOWN", "ADMIN")
    sooner = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    assert (await done("SET_COOLDOWN", until=sooner))[0] == "COOLDOWN"
    assert await done("END_COOLDOWN") == ("ACTIVE", None, "ACTIVE", None)
    # nobody is made ACTIVE who has not switched LIVE mode on (LIVE-3)
    await hustler.good("DELETE", "/v1/live")
    assert (await done("END_COOLDOWN"))[0] == "OFF"
    acts = await admin.good("GET", f"/v1/admin/actions?target_id={hustler.user_id}&limit=50")
    assert [act["action_type"] for act in acts["items"]][:3] == [
        "LIVE_END_COOLDOWN",
        "LIVE_END_COOLDOWN",
        "LIVE_SET_COOLDOWN",
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"act": "FORCE_ACTIVE"}, "/act"),
        ({"act": "SET_COOLDOWN"}, "/until"),
        ({"act": "END_COOLDOWN", "until": "2030-01-01T00:00:00Z"}, "/until"),
        ({"act": "SET_COOLDOWN", "until": "2001-01-01T00:00:00Z"}, "/until"),
        ({"act": "SET_COOLDOWN", "until": "2120-01-01T00:00:00Z"}, "/until"),
        ({"act": "SET_COOLDOWN", "until": "0001-01-01T00:00:00+14:00"}, "/until"),
        ({"act": "SET_COOLDOWN", "until": "9999-12-31T23:59:59Z"}, "/until"),
    ],
)
async def test_an_override_says_what_and_until_when(
    admin: Person, people: People, body: dict[str, object], pointer: str
) -> None:
    """VALIDATION_ERROR at its place for anything else; nothing forces anybody ACTIVE."""
    hustler = await people.person("hustler")
    path = f"/v1/admin/users/{hustler.user_id}/live"
    answer = await admin.call("POST", path, body | {"reason": WHY})
    assert answer.refusal()[:2] == (422, "VALIDATION_ERROR")
    assert [error["pointer"] for error in answer.body["errors"]] == [pointer]


async def test_no_admin_ends_a_forced_rest(admin: Person, people: People, market: Market) -> None:
    """HX601, with LIVE mode on and off; and no act is left of what was refused."""
    hustler = await people.person("hustler")
    await hustler.good("POST", "/v1/live", HERE)
    await market.owner.execute("alter table live_status disable trigger live_status_shift")
    await market.owner.execute(
        "update live_status set shift_since = shift_since - interval '4 hours' where user_id = $1",
        hustler.user_id,
    )
    await market.owner.execute("alter table live_status enable trigger live_status_shift")
    path = f"/v1/admin/users/{hustler.user_id}/live"
    for _ in range(2):
        answer = await admin.call("POST", path, {"act": "END_COOLDOWN", "reason": WHY})
        assert answer.refusal() == (429, "HX601", "LIVE-REST")
        assert 0 < answer.body["retry_after_seconds"] <= 1_800
        await hustler.good("DELETE", "/v1/live")
    acts = await admin.good("GET", f"/v1/admin/actions?target_id={hustler.user_id}")
    assert acts["items"] == []

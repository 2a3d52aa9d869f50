"""Every way of stopping before the work, and who ends up with which cent."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from tests.e2e.people import Chain, Person, near

PRICE = 4_001


async def test_a_task_that_nobody_funded_is_cancelled_after_a_day(chain: Chain) -> None:
    """UNFUNDED; a payment that was under way comes back, whole."""
    poster = await chain.person("poster")
    task = (await chain.posted(poster, "LIVE"))["id"]
    paid = chain.purses.slow[poster.id] = asyncio.Event()
    funding = asyncio.create_task(poster.call("POST", f"/v1/tasks/{task}/fund", {}))
    await chain.purses.asked.wait()
    await chain.advance("24 hours 1 second")
    assert (await poster.hears("JOB_CANCELLED", task_id=task))["reason"] == "UNFUNDED"
    paid.set()
    answer = await funding
    assert (answer.status, answer.body["state"]) == (201, "CANCELLED")
    back = await poster.hears("PAYMENT_REFUNDED", task_id=task)
    assert back["amount_cents"] == PRICE
    await chain.settled({poster: 0})
    assert await poster.cannot(task, "fund") == (409, "HX001-TASK-TERMINAL")


@pytest.mark.parametrize("state", ["OPEN", "MATCHING", "ACCEPTED"])
async def test_cancelling_before_arrival_gives_everything_back(chain: Chain, state: str) -> None:
    """JOB_CANCELLED with what the poster said, then the refund; a repetition changes nothing."""
    poster, hustler = await chain.pair()
    if state == "ACCEPTED":
        task = await chain.accepted(poster, hustler)
    else:
        task = (await chain.funded(poster, "LIVE" if state == "MATCHING" else "STANDARD"))["id"]
    for _ in range(2):
        cancelled = await poster.does(task, "cancel", {"reason": "It rains."})
        assert cancelled["state"] == "CANCELLED"
    received = await poster.hears("JOB_CANCELLED", task_id=task)
    assert (received["reason"], received["note"]) == ("POSTER_CANCELLED", "It rains.")
    if state == "ACCEPTED":
        assert (await hustler.hears("JOB_CANCELLED", task_id=task))["note"] == "It rains."
    await poster.hears("PAYMENT_REFUNDED", task_id=task, amount_cents=PRICE)
    await chain.settled({poster: 0, hustler: 0})
    assert "PAYMENT_REFUNDED" not in hustler.labels()
    await poster.catch_up()
    assert poster.labels().count("JOB_CANCELLED POSTER_CANCELLED") == 1


async def test_who_stands_at_the_door_is_not_sent_away(chain: Chain) -> None:
    """After the arrival cancelling is refused, for whatever reason, and the money stays held."""
    poster, hustler = await chain.pair()
    task = await chain.accepted(poster, hustler)
    await hustler.comes(task)
    for body in ({}, {"reason": "NO_SHOW"}):
        assert await poster.cannot(task, "cancel", body) == (409, "HX010-TRANSITION")
    assert await hustler.cannot(task, "cancel") == (403, "HX503-PERMISSION")
    await chain.settled({poster: -PRICE, hustler: 0})


async def test_a_no_show_counts_from_a_quarter_of_an_hour_after_the_eta(chain: Chain) -> None:
    """Before, the refusal says how long to wait; from then on the poster gets everything back."""
    poster, hustler = await chain.pair()
    task = await chain.accepted(poster, hustler, "LIVE")
    seen = await poster.task(task)
    way = datetime.fromisoformat(seen["eta_at"]) - datetime.fromisoformat(seen["accepted_at"])
    path = f"/v1/tasks/{task}/cancel"
    early = await poster.call("POST", path, {"reason": "NO_SHOW"})
    assert (early.status, early.type) == (409, "HX010-NO-SHOW")
    assert early.body["retry_after_seconds"] == pytest.approx(way.total_seconds() + 15 * 60, abs=20)
    await chain.advance("15 minutes")
    early = await poster.call("POST", path, {"reason": "NO_SHOW"})
    assert (early.status, early.type) == (409, "HX010-NO-SHOW")
    await chain.advance(f"{early.body['retry_after_seconds']} seconds")
    assert (await poster.good("POST", path, {"reason": "NO_SHOW"}))["state"] == "CANCELLED"
    for side in (poster, hustler):
        await side.hears("JOB_CANCELLED", task_id=task, reason="NO_SHOW")
    await chain.settled({poster: 0, hustler: 0})


async def test_where_no_eta_is_known_a_no_show_counts_from_the_deadline(chain: Chain) -> None:
    """And a day after the accept where there is no deadline either."""
    poster, hustler = await chain.pair()
    deadline = (await chain.now() + timedelta(hours=2)).isoformat()
    dated = await chain.accepted(poster, hustler, deadline=deadline)
    undated = await chain.accepted(poster, hustler)
    for task, hours in ((dated, 2.25), (undated, 24.25)):
        early = await poster.call("POST", f"/v1/tasks/{task}/cancel", {"reason": "NO_SHOW"})
        assert early.body["retry_after_seconds"] == pytest.approx(hours * 3_600, abs=30)


@pytest.mark.parametrize("mode", ["LIVE", "STANDARD"])
@pytest.mark.parametrize("after", ["1 second", "61 seconds"])
async def test_a_released_task_goes_to_somebody_else_with_its_money(
    chain: Chain, mode: str, after: str
) -> None:
    """The successor has the same escrow; who does the work is paid, the releaser is not."""
    poster, hustler = await chain.pair()
    task = await chain.accepted(poster, hustler, mode)
    escrow = (await poster.task(task))["escrow"]["id"]
    await chain.advance(after)
    for _ in range(2):
        released = await hustler.does(task, "release", {"reason": "Flat tyre."})
        assert (released["state"], released["escrow"]) == ("CANCELLED", None)
    for side in (poster, hustler):
        received = await side.hears("JOB_CANCELLED", task_id=task)
        assert (received["reason"], received["note"]) == ("HUSTLER_RELEASED", "Flat tyre.")
    successor = await poster.task(received["successor_id"])
    assert (successor["predecessor_id"], successor["escrow"]["id"]) == (task, escrow)
    assert await hustler.cannot(successor["id"], "accept") == (403, "HX012")

    other = await chain.person("hustler")
    if mode == "LIVE":
        await other.live_at(near(successor["location"]))
    await other.takes(successor)
    await other.does(
        successor["id"], "start", {"code": (await poster.task(successor["id"]))["start_code"]}
    )
    await chain.hands_in(poster, other, successor["id"])
    await poster.does(successor["id"], "approve")
    await chain.settled({poster: -PRICE, hustler: 0, other: 3_401})


async def test_only_its_hustler_releases_and_only_before_the_work(chain: Chain) -> None:
    """404 for others, HX010 once started."""
    poster, hustler = await chain.pair()
    task = await chain.started(poster, hustler)
    assert await hustler.cannot(task, "release") == (409, "HX010-TRANSITION")
    stranger = await chain.person("hustler")
    assert await stranger.cannot(task, "release") == (404, "NOT_FOUND")
    assert await poster.cannot(task, "release") == (403, "HX503-PERMISSION")


async def test_a_deadline_ends_what_nobody_took_and_nothing_else(chain: Chain) -> None:
    """OPEN and MATCHING expire with a full refund; held tasks go on, and both sides are told."""
    minute = (await chain.now() + timedelta(minutes=1)).isoformat()
    waiting: list[tuple[Person, str]] = []
    held: dict[str, tuple[Person, Person, str]] = {}
    for mode in ("STANDARD", "LIVE"):
        poster = await chain.person("poster")
        waiting.append((poster, (await chain.funded(poster, mode, deadline=minute))["id"]))
    for state, reach in (
        ("ACCEPTED", chain.accepted),
        ("WORKING", chain.started),
        ("PROOF_SUBMITTED", chain.handed_in),
        ("DISPUTED", chain.handed_in),
    ):
        sides = await chain.pair()
        held[state] = (*sides, await reach(*sides, deadline=minute))
    poster, _, task = held["DISPUTED"]
    await poster.does(task, "dispute", {"reason": "It fell off again."})

    await chain.advance("61 seconds")

    for poster, task in waiting:
        await poster.hears("TASK_STATUS_UPDATE", task_id=task, state="EXPIRED")
        await poster.hears("JOB_CANCELLED", task_id=task, reason="DEADLINE")
        await poster.hears("PAYMENT_REFUNDED", task_id=task, amount_cents=PRICE)
        await chain.settled({poster: 0})
    for state in ("ACCEPTED", "WORKING"):
        poster, hustler, task = held[state]
        for side in (poster, hustler):
            await side.hears("NUDGE", kind="DEADLINE_PASSED", task_id=task)
    for state, (poster, hustler, task) in held.items():
        assert (await poster.task(task))["state"] == state
        if state in ("PROOF_SUBMITTED", "DISPUTED"):
            await hustler.catch_up()
            assert "NUDGE DEADLINE_PASSED" not in hustler.labels()
    poster, hustler, task = held["ACCEPTED"]
    await hustler.does(task, "release")
    await poster.hears("JOB_CANCELLED", task_id=task, reason="HUSTLER_RELEASED")
    assert (await poster.task(task))["successor_id"] is None
    await chain.settled({poster: 0, hustler: 0})
    poster, hustler, task = held["PROOF_SUBMITTED"]
    await poster.does(task, "approve")
    await chain.settled({poster: -PRICE, hustler: 3_401})


async def test_silence_for_two_days_approves_and_pays(chain: Chain) -> None:
    """The review timer accepts the proof; a rejection stops it."""
    poster, hustler = await chain.pair()
    task, turned_down = (
        await chain.handed_in(poster, hustler),
        await chain.handed_in(poster, hustler),
    )
    await poster.does(turned_down, "reject", {"reason": "It squeaks."})
    await chain.advance("48 hours 1 second")
    for side in (poster, hustler):
        await side.hears("TASK_STATUS_UPDATE", task_id=task, state="COMPLETED")
        await side.hears("PAYMENT_CAPTURED", task_id=task)
    assert (await chain.history(hustler, task))[-1][2:] == (None, "REVIEW_TIMEOUT")
    assert (await poster.task(turned_down))["state"] == "WORKING"
    await chain.settled({poster: -2 * PRICE, hustler: 3_401})

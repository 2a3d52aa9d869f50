"""A broadcast that nobody took: what the poster may do, and where the money is meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from tests.e2e.people import Chain, Person, near


async def unwanted(chain: Chain, poster: Person, *there: Person) -> Any:
    """A LIVE task whose broadcast ended; those who were there declined."""
    task = await chain.posted(poster, "LIVE")
    for hustler in there:
        await hustler.live_at(near(task["location"]))
    await poster.does(task["id"], "fund")
    for hustler in there:
        assert await hustler.answers(await hustler.card(task["id"]), "DECLINE") == "DECLINED"
    await chain.advance("10 minutes 1 second")
    await poster.hears("LIVE_BROADCAST_UPDATE", task_id=task["id"], state="EXPIRED")
    return task


async def choose(poster: Person, task: Any, choice: str, price: int | None = None) -> Any:
    """A choice that succeeds."""
    body = {"choice": choice} | ({} if price is None else {"price_cents": price})
    return await poster.does(task["id"], "broadcast-choice", body)


async def paid_for(chain: Chain, poster: Person, hustler: Person, task: str) -> None:
    """An accepted task is done and paid."""
    await hustler.does(task, "start", {"code": (await poster.task(task))["start_code"]})
    await chain.hands_in(poster, hustler, task)
    await poster.does(task, "approve")


async def test_a_switch_lists_the_task_for_everybody_with_the_same_money(chain: Chain) -> None:
    """The successor is STANDARD and OPEN; who takes it is paid from the first payment."""
    poster, hustler = await chain.pair()
    task = await unwanted(chain, poster)
    chosen = await choose(poster, task, "SWITCH_TO_STANDARD")
    assert await choose(poster, task, "SWITCH_TO_STANDARD") == chosen
    successor = chosen["task"]
    assert (successor["mode"], successor["state"], successor["predecessor_id"]) == (
        "STANDARD",
        "OPEN",
        task["id"],
    )
    assert chosen["escrow"]["state"] == "FUNDED"
    received = await poster.hears("JOB_CANCELLED", task_id=task["id"])
    assert (received["reason"], received["successor_id"]) == (
        "SWITCHED_TO_STANDARD",
        successor["id"],
    )
    await hustler.takes(successor)
    await paid_for(chain, poster, hustler, successor["id"])
    await chain.settled({poster: -4_001, hustler: 3_401})


async def test_a_higher_price_is_paid_first_and_reaches_who_declined_before(chain: Chain) -> None:
    """The replacement takes over, the old money goes back, and the work is paid by the new price."""
    poster, hustler = await chain.pair()
    task = await unwanted(chain, poster, hustler)
    chosen = await choose(poster, task, "INCREASE_PRICE", 5_003)
    assert (chosen["escrow"]["state"], chosen["escrow"]["amount_cents"]) == ("PENDING", 5_003)
    assert (chosen["task"]["price_cents"], chosen["task"]["escrow"]["amount_cents"]) == (4_001,) * 2
    assert (await choose(poster, task, "INCREASE_PRICE", 5_003))["escrow"] == chosen["escrow"]
    assert chosen["task"]["replacement"] == chosen["escrow"]
    funded = await poster.does(task["id"], "fund")
    assert (funded["id"], funded["state"]) == (chosen["escrow"]["id"], "FUNDED")
    assert await poster.does(task["id"], "fund") == funded
    about = {"task_id": task["id"]}
    changed = await poster.hears("PRICE_CHANGED", **about)
    assert (changed["new_amount_cents"], changed["payment_intent_updated"]) == (5_003, True)
    await poster.hears("LIVE_BROADCAST_UPDATE", state="ACTIVE", **about)
    await poster.hears("PAYMENT_REFUNDED", amount_cents=4_001, **about)
    await chain.settled({poster: -5_003})

    other = await chain.person("hustler")
    await other.live_at(near(task["location"]))
    card = await hustler.card(task["id"])
    assert (card["task"]["price_cents"], card["task"]["hustler_pay_cents"]) == (5_003, 4_253)
    assert await other.answers(await other.card(task["id"]), "ACCEPT") == "WON"
    await paid_for(chain, poster, other, task["id"])
    await chain.settled({poster: -5_003, hustler: 0, other: 4_253})


async def test_a_broadcast_is_answered_by_its_own_card(chain: Chain) -> None:
    """Who was silent before and declines the higher price cannot take the task after all."""
    poster, hustler = await chain.pair()
    task = await chain.posted(poster, "LIVE")
    await hustler.live_at(near(task["location"]))
    await poster.does(task["id"], "fund")
    await hustler.card(task["id"])
    await chain.advance("10 minutes 1 second")
    await poster.hears("LIVE_BROADCAST_UPDATE", task_id=task["id"], state="EXPIRED")
    await choose(poster, task, "INCREASE_PRICE", 5_000)
    await poster.does(task["id"], "fund")
    assert await hustler.answers(await hustler.card(task["id"]), "DECLINE") == "DECLINED"
    assert await hustler.cannot(task["id"], "accept") == (403, "HX012")


async def test_a_cancelled_choice_gives_everything_back(chain: Chain) -> None:
    """Also the payment of a replacement that was under way."""
    poster = await chain.person("poster")
    task = await unwanted(chain, poster)
    await choose(poster, task, "INCREASE_PRICE", 5_000)
    paid = chain.purses.slow[poster.id] = asyncio.Event()
    chain.purses.asked.clear()
    funding = asyncio.create_task(poster.call("POST", f"/v1/tasks/{task['id']}/fund", {}))
    await chain.purses.asked.wait()
    for _ in range(2):
        chosen = await choose(poster, task, "CANCEL")
        assert chosen["task"]["state"] == "CANCELLED"
    paid.set()
    assert (await funding).body["state"] == "CANCELLED"
    for amount_cents in (4_001, 5_000):
        await chain.settled({poster: 0})
        await poster.catch_up()
        refunded = [e["data"] for e in poster.received if e["type"] == "PAYMENT_REFUNDED"]
        assert amount_cents in [r["amount_cents"] for r in refunded]


async def test_without_a_choice_the_poster_is_told_three_times_and_then_refunded(
    chain: Chain,
) -> None:
    """At once, after 1 hour and after 23; after 24 hours the task is cancelled."""
    poster = await chain.person("poster")
    task = await unwanted(chain, poster)
    for wait in ("1 hour", "22 hours"):
        await chain.advance(wait)
        nudged = await poster.hears("NUDGE", kind="CHOICE", task_id=task["id"])
        assert "cancel" in nudged["text"]
    await chain.advance("59 minutes")
    assert (await poster.task(task["id"]))["state"] == "MATCHING"
    await chain.advance("61 seconds")
    await poster.hears("JOB_CANCELLED", task_id=task["id"], reason="NO_CHOICE")
    await poster.hears("PAYMENT_REFUNDED", task_id=task["id"], amount_cents=4_001)
    assert poster.labels().count("NUDGE CHOICE") == 2
    await chain.settled({poster: 0})


@pytest.mark.parametrize("timer_was_there", [True, False])
async def test_a_higher_price_that_is_paid_too_late_comes_back(
    chain: Chain,
    timer_was_there: bool,  # noqa: FBT001
) -> None:
    """After 15 minutes the payment changes nothing: the old price holds and the choice stays."""
    poster = await chain.person("poster")
    task = await unwanted(chain, poster)
    waiting = (await choose(poster, task, "INCREASE_PRICE", 5_000))["escrow"]
    paid = chain.purses.slow[poster.id] = asyncio.Event()
    chain.purses.asked.clear()
    funding = asyncio.create_task(poster.call("POST", f"/v1/tasks/{task['id']}/fund", {}))
    await chain.purses.asked.wait()
    if timer_was_there:
        await chain.advance("15 minutes 1 second")
        while "replacement" in await poster.task(task["id"]):
            pass
    else:
        # no process looks at the timers
        await chain.sql(
            "delete from timers where kind = 'REPLACEMENT' and subject = $1", UUID(waiting["id"])
        )
        await chain.advance("15 minutes 1 second")
    paid.set()
    answer = await funding
    assert (answer.status, answer.body["state"]) == (201, "CANCELLED")
    await poster.hears("PAYMENT_REFUNDED", task_id=task["id"], amount_cents=5_000)
    await chain.settled({poster: -4_001})
    seen = await poster.task(task["id"])
    assert (seen["state"], seen["price_cents"], seen["escrow"]["state"]) == (
        "MATCHING",
        4_001,
        "FUNDED",
    )
    del chain.purses.slow[poster.id]
    await choose(poster, task, "INCREASE_PRICE", 6_000)
    await poster.does(task["id"], "fund")
    await chain.settled({poster: -6_000})


async def test_another_price_withdraws_the_one_before(chain: Chain) -> None:
    """Only the last word is paid; a payment for the earlier one comes back."""
    poster = await chain.person("poster")
    task = await unwanted(chain, poster)
    await choose(poster, task, "INCREASE_PRICE", 5_000)
    paid = chain.purses.slow[poster.id] = asyncio.Event()
    chain.purses.asked.clear()
    funding = asyncio.create_task(poster.call("POST", f"/v1/tasks/{task['id']}/fund", {}))
    await chain.purses.asked.wait()
    await choose(poster, task, "INCREASE_PRICE", 6_000)
    paid.set()
    assert (await funding).body["state"] == "CANCELLED"
    await poster.does(task["id"], "fund")
    await chain.settled({poster: -6_000})
    assert (await poster.task(task["id"]))["price_cents"] == 6_000


async def test_choices_that_are_refused(chain: Chain) -> None:
    """While it runs, on a lower price, on a price without a need, by others, on another mode."""
    poster, hustler = await chain.pair()
    running = await chain.funded(poster, "LIVE")
    standard = await chain.funded(poster)
    step = "broadcast-choice"
    for task in (running, standard):
        for body in (
            {"choice": "CANCEL"},
            {"choice": "SWITCH_TO_STANDARD"},
            {"choice": "INCREASE_PRICE", "price_cents": 9_000},
        ):
            assert await poster.cannot(task["id"], step, body) == (409, "HX010-TRANSITION")
    task = await unwanted(chain, poster)
    for body in (
        {"choice": "INCREASE_PRICE"},
        {"choice": "INCREASE_PRICE", "price_cents": 4_001},
        {"choice": "INCREASE_PRICE", "price_cents": 4_000},
        {"choice": "INCREASE_PRICE", "price_cents": 10_000_001},
        {"choice": "CANCEL", "price_cents": 5_000},
        {"choice": "WAIT"},
        {},
    ):
        assert await poster.cannot(task["id"], step, body) == (422, "VALIDATION_ERROR")
    cancel = {"choice": "CANCEL"}
    stranger = await chain.person("poster")
    assert await stranger.cannot(task["id"], step, cancel) == (404, "NOT_FOUND")
    assert await hustler.cannot(task["id"], step, cancel) == (403, "HX503-PERMISSION")

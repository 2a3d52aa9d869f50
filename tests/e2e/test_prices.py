"""Another price before the work begins: proposed, agreed to, paid, and what comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.e2e.people import Chain, Person


async def propose(person: Person, task: str, price_cents: int) -> Any:
    """A proposal that stands."""
    return await person.does(task, "price-proposals", {"price_cents": price_cents})


async def proposals(person: Person, task: str) -> list[tuple[int, str]]:
    """(price, state) of every proposal."""
    items = (await person.good("GET", f"/v1/tasks/{task}/price-proposals"))["items"]
    return [(p["price_cents"], p["state"]) for p in items]


@pytest.mark.parametrize(("price", "pay"), [(5_003, 4_253), (3_001, 2_551)])
@pytest.mark.parametrize("by_hustler", [True, False])
async def test_an_agreed_price_holds_once_it_is_paid(
    chain: Chain,
    by_hustler: bool,  # noqa: FBT001
    price: int,
    pay: int,
) -> None:
    """Both sides follow it; the first payment goes back, the hustler is paid by the second."""
    poster, hustler = await chain.pair()
    task = await chain.accepted(poster, hustler)
    proposer, other = (hustler, poster) if by_hustler else (poster, hustler)
    proposal = await propose(proposer, task, price)
    assert (await propose(proposer, task, price))["id"] == proposal["id"]
    assert (await other.task(task))["proposal"]["id"] == proposal["id"]
    step = f"price-proposals/{proposal['id']}"
    agreed = await other.does(task, f"{step}/accept")
    assert (agreed["state"], agreed["escrow"]["amount_cents"]) == ("AGREED", price)
    assert await other.does(task, f"{step}/accept") == agreed
    assert (await poster.task(task))["replacement"] == agreed["escrow"]
    for side in (poster, hustler):
        # who comes back finds the same in the snapshot
        (mine,) = (await side.good("GET", "/v1/snapshot"))["tasks"]
        assert mine == await side.task(task)
    assert "replacement" not in await hustler.task(task)
    assert (await hustler.task(task))["price_cents"] == 4_001

    funded = await poster.does(task, "fund")
    assert (funded["id"], funded["amount_cents"]) == (agreed["escrow"]["id"], price)
    for side in (poster, hustler):
        for state in ("OPEN", "AGREED"):
            await side.hears("PRICE_PROPOSAL", proposal_id=proposal["id"], state=state)
        await side.hears("PRICE_CHANGED", new_amount_cents=price, payment_intent_updated=False)
        await side.hears("PRICE_PROPOSAL", proposal_id=proposal["id"], state="APPLIED")
        await side.hears("PRICE_CHANGED", new_amount_cents=price, payment_intent_updated=True)
    await chain.settled({poster: -price, hustler: 0})
    seen = await hustler.task(task)
    assert (seen["price_cents"], seen["hustler_pay_cents"]) == (price, pay)
    assert {"proposal", "replacement"}.isdisjoint(seen)

    await hustler.does(task, "start", {"code": (await poster.task(task))["start_code"]})
    await chain.hands_in(poster, hustler, task)
    await poster.does(task, "approve")
    await chain.settled({poster: -price, hustler: pay})


async def test_a_double_click_agrees_and_pays_once(chain: Chain) -> None:
    """Both clicks get the same answer; one payment is taken and one goes back."""
    poster, hustler = await chain.pair()
    task = await chain.accepted(poster, hustler)
    proposal = await propose(hustler, task, 6_000)
    step = f"price-proposals/{proposal['id']}/accept"
    agreed = await asyncio.gather(*(poster.does(task, step) for _ in range(3)))
    assert agreed[0] == agreed[1] == agreed[2]
    paid = await asyncio.gather(*(poster.does(task, "fund") for _ in range(3)))
    assert {(escrow["id"], escrow["state"]) for escrow in paid} == {
        (agreed[0]["escrow"]["id"], "FUNDED")
    }
    await chain.settled({poster: -6_000})
    assert await proposals(poster, task) == [(6_000, "APPLIED")]


@pytest.mark.parametrize("decliner", ["other", "proposer"])
async def test_a_declined_price_changes_nothing(chain: Chain, decliner: str) -> None:
    """The other side declines, or the proposer takes it back; repeating it is the same."""
    poster, hustler = await chain.pair()
    task = await chain.accepted(poster, hustler)
    proposal = await propose(hustler, task, 6_000)
    step = f"price-proposals/{proposal['id']}"
    who = poster if decliner == "other" else hustler
    for _ in range(2):
        assert (await who.does(task, f"{step}/decline"))["state"] == "DECLINED"
    for side in (poster, hustler):
        await side.hears("PRICE_PROPOSAL", proposal_id=proposal["id"], state="DECLINED")
    assert await poster.cannot(task, f"{step}/accept") == (409, "HX010-PROPOSAL")
    assert (await poster.task(task))["price_cents"] == 4_001
    await chain.settled({poster: -4_001})


async def test_a_new_word_takes_the_earlier_one_off_the_table(chain: Chain) -> None:
    """One price at a time; an agreed one that was not paid falls with its replacement."""
    poster, hustler = await chain.pair()
    task = await chain.accepted(poster, hustler)
    first = await propose(hustler, task, 6_000)
    await poster.does(task, f"price-proposals/{first['id']}/accept")
    second = await propose(poster, task, 5_000)
    assert "replacement" not in await poster.task(task)
    assert (await poster.does(task, "fund"))["amount_cents"] == 4_001
    await hustler.does(task, f"price-proposals/{second['id']}/accept")
    await poster.does(task, "fund")
    assert await proposals(hustler, task) == [(6_000, "LAPSED"), (5_000, "APPLIED")]
    await chain.settled({poster: -5_000})


@pytest.mark.parametrize("end", ["start", "time", "release", "cancel", "dispute"])
async def test_a_price_lapses_when_the_task_moves_on(chain: Chain, end: str) -> None:
    """Agreed and not paid: both sides hear LAPSED, and a payment under way comes back."""
    poster, hustler = await chain.pair()
    task = await chain.accepted(poster, hustler)
    proposal = await propose(poster, task, 6_000)
    await hustler.does(task, f"price-proposals/{proposal['id']}/accept")
    code = (await poster.task(task))["start_code"]
    paid = chain.purses.slow[poster.id] = asyncio.Event()
    chain.purses.asked.clear()
    funding = asyncio.create_task(poster.call("POST", f"/v1/tasks/{task}/fund", {}))
    await chain.purses.asked.wait()
    match end:
        case "start":
            await hustler.does(task, "start", {"code": code})
        case "time":
            await chain.advance("15 minutes 1 second")
        case "dispute":
            await hustler.comes(task)
            await hustler.does(task, "dispute", {"reason": "Nobody opens."})
        case _:
            await (hustler if end == "release" else poster).does(task, end)
    for side in (poster, hustler):
        await side.hears("PRICE_PROPOSAL", proposal_id=proposal["id"], state="LAPSED")
    paid.set()
    assert (await funding).body["state"] == "CANCELLED"
    await poster.hears("PAYMENT_REFUNDED", amount_cents=6_000)
    await chain.settled({poster: 0 if end == "cancel" else -4_001, hustler: 0})


async def test_prices_that_are_refused(chain: Chain) -> None:
    """Before an accept, after the start, the same price, too low, too high, by strangers, to oneself."""
    poster, hustler = await chain.pair()
    stranger = await chain.person("dual")
    step = "price-proposals"
    good: dict[str, Any] = {"price_cents": 5_000}
    waiting = (await chain.funded(poster))["id"]
    assert await poster.cannot(waiting, step, good) == (409, "HX010-TRANSITION")
    assert await hustler.cannot(waiting, step, good) == (404, "NOT_FOUND")
    worker = await chain.person("hustler")
    working = await chain.started(poster, worker)
    for side in (poster, worker):
        assert await side.cannot(working, step, good) == (409, "HX010-TRANSITION")
    task = await chain.accepted(poster, hustler)
    wrong: list[Any] = [4_001, 499, 0, -1, 10_000_001, 10**30, 50.5, "5000", None]
    bodies = [{"price_cents": price} for price in wrong]
    for body in (*bodies, {}, good | {"state": "AGREED"}):
        assert await hustler.cannot(task, step, body) == (422, "VALIDATION_ERROR"), body
    proposal = await propose(hustler, task, 500)
    answer = f"{step}/{proposal['id']}"
    assert await hustler.cannot(task, f"{answer}/accept") == (403, "HX503-PERMISSION")
    for path in (step, f"{answer}/accept", f"{answer}/decline"):
        body = good if path == step else {}
        assert await stranger.cannot(task, path, body) == (404, "NOT_FOUND")
    listed = await stranger.refused("GET", f"/v1/tasks/{task}/{step}")
    assert listed == (404, "NOT_FOUND")
    assert await poster.cannot(working, f"{answer}/accept") == (404, "NOT_FOUND")

    driver = await chain.person("hustler")
    live = await chain.accepted(poster, driver, "LIVE")
    assert await driver.cannot(live, step, {"price_cents": 1_499}) == (422, "HX902-LIVE-2")
    assert (await propose(driver, live, 1_500))["state"] == "OPEN"

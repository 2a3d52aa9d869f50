"""What a poster may still change, by state and field, and what two versions of the truth lead to."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.people import Chain, Person

WORDS = {"title": "Hang two doors", "description": "Both came off."}
TERMS: dict[str, Any] = {
    "category": "carpentry",
    "price_cents": 5_000,
    "location": {"lat": 31.5, "lng": -97.5, "address": "2 Main St"},
    "requires_proof": False,
    "min_photos": 3,
    "estimated_minutes": 90,
    "required_trade": "carpenter",
    "required_trust_tier": 2,
    "insurance_required": True,
    "background_check_required": True,
}


async def edited(poster: Person, task: str, **fields: Any) -> Any:
    """The task after a change that succeeds."""
    return await poster.good("PATCH", f"/v1/tasks/{task}", fields)


async def not_edited(poster: Person, task: str, **fields: Any) -> tuple[int, str]:
    """Status and problem type of a change that is refused."""
    return await poster.refused("PATCH", f"/v1/tasks/{task}", fields)


@pytest.mark.parametrize("mode", ["LIVE", "STANDARD"])
async def test_before_it_is_funded_everything_but_the_mode_may_change(
    chain: Chain, mode: str
) -> None:
    """Each change counts the version up, and the poster's other devices hear of it."""
    poster = await chain.person("poster")
    task = await chain.posted(poster, mode)
    deadline = (await chain.now() + timedelta(hours=3)).isoformat()
    changed = await edited(poster, task["id"], **WORDS, **TERMS, deadline=deadline)
    assert changed["version"] == task["version"] + 1
    shown = {name: changed[name] for name in ("title", "category", "price_cents", "min_photos")}
    assert shown == {name: (WORDS | TERMS)[name] for name in shown}
    assert changed["location"] == TERMS["location"]
    await poster.hears("TASK_STATUS_UPDATE", task_id=task["id"])
    assert (await edited(poster, task["id"], deadline=None))["deadline"] is None
    assert await not_edited(poster, task["id"], mode="LIVE") == (422, "VALIDATION_ERROR")
    funded = await poster.does(task["id"], "fund")
    assert funded["amount_cents"] == 5_000


@pytest.mark.parametrize("state", ["OPEN", "ACCEPTED"])
async def test_once_funded_only_the_words_may_change(chain: Chain, state: str) -> None:
    """Title and description while nobody works; every term is HX019."""
    poster, hustler = await chain.pair()
    if state == "OPEN":
        task = (await chain.funded(poster))["id"]
    else:
        task = await chain.accepted(poster, hustler)
    before = await poster.task(task)
    after = await edited(poster, task, **WORDS)
    assert (after["title"], after["version"]) == (WORDS["title"], before["version"] + 1)
    assert (await edited(poster, task, **WORDS))["version"] == after["version"]
    if state == "ACCEPTED":
        await hustler.catch_up()
        assert hustler.labels(task).count("TASK_STATUS_UPDATE ACCEPTED") == 2
        assert (await hustler.task(task))["title"] == WORDS["title"]
    deadline = (await chain.now() + timedelta(hours=3)).isoformat()
    for field, value in (TERMS | {"deadline": deadline}).items():
        refused = await not_edited(poster, task, **WORDS, **{field: value})
        assert refused == (409, "HX019-EDIT"), field
    assert (await poster.task(task)) == after


@pytest.mark.parametrize("state", ["MATCHING", "WORKING", "PROOF_SUBMITTED", "DISPUTED"])
async def test_while_cards_show_it_or_somebody_works_nothing_may_change(
    chain: Chain, state: str
) -> None:
    """HX019 for the words too."""
    poster, hustler = await chain.pair()
    if state == "MATCHING":
        task = (await chain.funded(poster, "LIVE"))["id"]
    elif state == "WORKING":
        task = await chain.started(poster, hustler)
    else:
        task = await chain.handed_in(poster, hustler)
    if state == "DISPUTED":
        await poster.does(task, "dispute", {"reason": "No."})
    for field, value in (WORDS | TERMS).items():
        assert await not_edited(poster, task, **{field: value}) == (409, "HX019-EDIT"), field
    assert (await edited(poster, task))["state"] == state


async def test_what_has_ended_stays_as_it_was(chain: Chain) -> None:
    """HX001, whatever the field."""
    poster = await chain.person("poster")
    task = (await chain.funded(poster))["id"]
    await poster.does(task, "cancel")
    for field, value in (WORDS | TERMS).items():
        assert await not_edited(poster, task, **{field: value}) == (409, "HX001-TASK-TERMINAL")


async def test_two_devices_do_not_overwrite_each_other(chain: Chain) -> None:
    """A change or an accept that names an older version is HX010 VERSION."""
    poster, hustler = await chain.pair()
    task = await chain.funded(poster)
    seen = task["version"]
    await edited(poster, task["id"], version=seen, title="From the phone")
    stale = await not_edited(poster, task["id"], version=seen, title="From the desk")
    assert stale == (409, "HX010-VERSION")
    body = {"version": seen}
    assert await hustler.cannot(task["id"], "accept", body) == (409, "HX010-VERSION")
    won = await hustler.does(task["id"], "accept", {"version": seen + 1})
    assert won["title"] == "From the phone"


async def test_a_new_price_before_funding_gives_an_old_payment_back(chain: Chain) -> None:
    """The payment that was under way for the old price comes back; the new one is charged."""
    poster = await chain.person("poster")
    task = (await chain.posted(poster))["id"]
    paid = chain.purses.slow[poster.id] = asyncio.Event()
    chain.purses.asked.clear()
    funding = asyncio.create_task(poster.call("POST", f"/v1/tasks/{task}/fund", {}))
    await chain.purses.asked.wait()
    await edited(poster, task, title="The price stays")
    assert (await poster.task(task))["escrow"]["state"] == "PENDING"
    assert (await edited(poster, task, price_cents=5_000))["escrow"] is None
    paid.set()
    assert (await funding).body["state"] == "CANCELLED"
    await poster.hears("PAYMENT_REFUNDED", task_id=task, amount_cents=4_001)
    await chain.settled({poster: 0})
    escrow = await poster.does(task, "fund")
    assert (escrow["state"], escrow["amount_cents"]) == ("FUNDED", 5_000)
    await chain.settled({poster: -5_000})


@pytest.mark.parametrize(
    ("mode", "field", "good", "bad"),
    [
        ("STANDARD", "price_cents", 500, 499),
        ("STANDARD", "price_cents", 10_000_000, 10_000_001),
        ("LIVE", "price_cents", 1_500, 1_499),
        ("LIVE", "title", "x" * 200, "x" * 201),
        ("LIVE", "title", "x", " "),
        ("LIVE", "title", "é", "a\0b"),
        ("LIVE", "description", "x" * 5_000, "x" * 5_001),
        ("LIVE", "description", "x", ""),
        ("LIVE", "min_photos", 5, 6),
        ("LIVE", "min_photos", 1, 0),
        ("LIVE", "required_trust_tier", 4, 5),
        ("LIVE", "estimated_minutes", 10_080, 10_081),
        ("LIVE", "required_trade", None, ""),
        ("LIVE", "title", "x", None),
    ],
    ids=lambda value: str(value)[:12],
)
async def test_a_task_keeps_its_bounds_when_it_is_edited(
    chain: Chain, mode: str, field: str, good: object, bad: object
) -> None:
    """The last value that is taken, and the first that is not."""
    poster = await chain.person("poster")
    task = (await chain.posted(poster, mode))["id"]
    assert (await edited(poster, task, **{field: good}))["id"] == task
    refused = await not_edited(poster, task, **{field: bad})
    below = (mode, field) == ("LIVE", "price_cents")
    assert refused == ((422, "HX902-LIVE-2") if below else (422, "VALIDATION_ERROR"))


async def test_a_deadline_lies_ahead_and_within_a_year(chain: Chain) -> None:
    """When the task is made and when it is edited."""
    poster = await chain.person("poster")
    task = (await chain.posted(poster))["id"]
    now = await chain.now()
    for far in (timedelta(seconds=-1), timedelta(days=367)):
        wrong = (now + far).isoformat()
        assert await not_edited(poster, task, deadline=wrong) == (422, "VALIDATION_ERROR")
    assert (await edited(poster, task, deadline=(now + timedelta(days=364)).isoformat()))["id"]


async def test_only_its_poster_edits_a_task(chain: Chain) -> None:
    """404 for strangers, HX503 for its hustler, whatever role the account has."""
    poster = await chain.person("poster")
    worker, stranger = await chain.person("dual"), await chain.person("poster")
    task = await chain.accepted(poster, worker)
    assert await not_edited(stranger, task, **WORDS) == (404, "NOT_FOUND")
    assert await not_edited(worker, task, **WORDS) == (403, "HX503-PERMISSION")
    hustler = await chain.person("hustler")
    assert await not_edited(hustler, task, **WORDS) == (403, "HX503-PERMISSION")

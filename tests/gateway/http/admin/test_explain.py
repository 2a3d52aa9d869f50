"""Why was this hustler not offered that task? Each thing that stands in the way, in plain words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.support.rest import MILE_LAT, People, Person, offers_of

Change = Callable[..., Awaitable[None]]


async def explained(admin: Person, task: Any, hustler: Person, *, live: bool = True) -> Any:
    """The answer about a pair, once presence has heard of a hustler in LIVE mode."""
    path = f"/v1/admin/tasks/{task['id']}/explain?hustler_id={hustler.user_id}"
    async with asyncio.timeout(5):
        while True:
            answer = await admin.good("GET", path)
            if answer["presence"]["seen"] or not live:
                return answer
            await asyncio.sleep(0.02)


def failing(answer: Any) -> dict[str, str]:
    """The reasons by the clause that does not hold."""
    return {c["clause"]: c["reason"] for c in answer["clauses"] if "reason" in c}


async def test_an_offer_is_told_with_all_that_decided(people: People, admin: Person) -> None:
    """Distance, waves, score and times; the score's parts add up to that on the card."""
    poster = await people.person("poster")
    task = await people.funded(poster)
    hustler = await people.offered(task, miles=2.0)
    answer = await explained(admin, task, hustler)
    card = (await offers_of(hustler, 1))[0]
    assert answer["offered"]
    assert answer["why_not"] == []
    assert failing(answer) == {}
    assert answer["presence"]["seen"]
    assert answer["presence"]["distance_miles"] == pytest.approx(2.0, abs=0.05)
    assert 0 <= answer["presence"]["seen_age_s"] < 90
    assert answer["score"]["profile"] == "hx-1.0"
    assert answer["score"]["total"] == pytest.approx(card["matching_score"], abs=1e-9)
    parts = sum(part["points"] for part in answer["score"]["parts"])
    assert parts == pytest.approx(answer["score"]["total"])
    assert answer["offer"]["matching_score"] == card["matching_score"]
    assert answer["offer"]["response"] is None
    assert (answer["open_offers"], answer["open_offers_max"]) == (1, 10)
    waves = answer["broadcast"]["waves"]
    assert [wave["radius_miles"] for wave in waves] == [3, 5, 7, 9, 10]
    assert [wave["begun"] for wave in waves] == [True, False, False, False, False]
    assert all(wave["within"] for wave in waves)


async def test_a_hustler_too_far_away_is_told_the_wave_that_would_reach(
    people: People, admin: Person
) -> None:
    """Six miles: outside of the first two waves, inside from the third on."""
    task = await people.funded(await people.person("poster"))
    hustler = await people.live_near(task, miles=6.0)
    answer = await explained(admin, task, hustler)
    assert not answer["offered"]
    assert failing(answer) == {
        "inside the radius": answer["why_not"][0],
    }
    assert answer["why_not"][0].endswith("miles is outside the radius of 3 miles.")
    assert [w["within"] for w in answer["broadcast"]["waves"]] == [False, False, True, True, True]


async def test_everything_that_stands_in_the_way_is_named_at_once(
    people: People, admin: Person, owner_execute: Change
) -> None:
    """Own wishes, trust, trade, LIVE mode, another task: one sentence each."""
    task = await people.funded(await people.person("poster"), required_trust_tier=3)
    hustler = await people.person("hustler")
    place = task["location"]
    spot = {"lat": place["lat"] + 2 * MILE_LAT, "lng": place["lng"]}
    wishes = {"radius_miles": 1, "categories": ["cleaning"]}
    await hustler.good("POST", "/v1/live", {"location": spot} | wishes)
    answer = await explained(admin, task, hustler)
    found = failing(answer)
    assert found.keys() == {"inside the own radius", "wants the category", "trust tier"}
    assert list(found.values()) == answer["why_not"]
    assert found["wants the category"] == "The hustler does not want the category moving."
    assert found["trust tier"] == "Not eligible: trust tier is 2, needed 3."
    await owner_execute("update users set account_status = 'PAUSED' where id = $1", hustler.user_id)
    assert failing(await explained(admin, task, hustler))["account"] == (
        "Not eligible: account is PAUSED, needed ACTIVE."
    )


async def test_a_hustler_who_is_off_and_unheard_of_has_no_score(
    people: People, admin: Person
) -> None:
    """Nothing is made up for somebody whose position nobody knows."""
    task = await people.funded(await people.person("poster"))
    answer = await explained(admin, task, await people.person("hustler"), live=False)
    assert answer["score"] is None
    assert answer["presence"] == {
        "seen": False, "seen_age_s": None, "fix_age_s": None, "distance_miles": None,
    }  # fmt: skip
    assert failing(answer).keys() == {"seen", "LIVE"}
    assert [w["within"] for w in answer["broadcast"]["waves"]] == [None] * 5


async def test_who_holds_a_task_is_busy_and_the_holder_sees_an_ended_broadcast(
    people: People, admin: Person
) -> None:
    """A broadcast that ended is explained as well: to its winner, and to one who came too late."""
    _, winner, task = await people.accepted()
    late = await people.live_near(task)
    won, missed = await explained(admin, task, winner), await explained(admin, task, late)
    assert won["offered"]
    assert won["offer"]["response"] == "ACCEPT"
    assert won["offer"]["responded_at"] is not None
    assert won["busy"]
    assert won["why_not"] == []
    assert missed["broadcast"]["state"] == "ACCEPTED"
    assert missed["broadcast"]["ended_at"] is not None
    assert missed["why_not"][0].startswith("The broadcast ended as ACCEPTED at ")
    assert missed["score"]["total"] > 0.2
    assert len(missed["broadcast"]["waves"]) == 1


async def test_a_task_that_was_never_broadcast_says_so(people: People, admin: Person) -> None:
    """A STANDARD one, and one that is not paid for."""
    poster, hustler = await people.person("poster"), await people.person("hustler")
    unfunded = await people.task(poster)
    answer = await explained(admin, unfunded, hustler, live=False)
    assert answer["broadcast"] is None
    assert answer["why_not"][0] == "There is no broadcast: the task is LIVE in MATCHING."


async def test_bad_questions_are_refused_as_everywhere(people: People, admin: Person) -> None:
    """404 for a task or a hustler that is not there, 422 for what is no id, 403 for others."""
    hustler = await people.person("hustler")
    task = await people.task(await people.person("poster"))
    nobody, path = uuid4(), f"/v1/admin/tasks/{task['id']}/explain"
    unknown = await admin.call("GET", f"/v1/admin/tasks/{nobody}/explain?hustler_id={nobody}")
    assert unknown.refusal()[:2] == (404, "NOT_FOUND")
    stranger = await admin.call("GET", f"{path}?hustler_id={nobody}")
    assert stranger.refusal()[:2] == (404, "NOT_FOUND")
    for query in ("", "?hustler_id=", "?hustler_id=7", f"?hustler_id={nobody}&x=1"):
        refused = await admin.call("GET", path + query)
        assert refused.refusal()[:2] == (422, "VALIDATION_ERROR"), query
    refused = await hustler.call("GET", f"{path}?hustler_id={hustler.user_id}")
    assert refused.refusal() == (403, "HX503", "PERMISSION")

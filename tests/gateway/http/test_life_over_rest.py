"""A task's whole life over REST alone, and what its readers see on the way."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import asyncpg

from tests.support.rest import People, Person, offers_of
from tests.support.trimming import trim


async def events(person: Person, after: int = 0, wait: float = 0) -> Any:
    """One look into the person's log."""
    return await person.good("GET", f"/v1/events?after={after}&wait={wait}")


async def types_until(person: Person, wanted: str) -> list[str]:
    """The types of the person's events up to the wanted one, read page by page as it comes."""
    seen: list[str] = []
    last_seq = 0
    async with asyncio.timeout(8):
        while wanted not in seen:
            page = await events(person, last_seq, wait=2)
            assert [e["seq"] for e in page["events"]] == list(
                range(last_seq + 1, page["last_seq"] + 1)
            )
            last_seq = page["last_seq"]
            seen += [event["type"] for event in page["events"]]
    return seen


async def test_a_task_lives_from_creation_to_payment(people: People) -> None:
    """Created, funded, offered, accepted, arrived, started, proven, approved, paid, audited."""
    poster = await people.person("poster")
    task = await people.task(poster)
    path = f"/v1/tasks/{task['id']}"
    assert (task["state"], task["escrow"], task["broadcast"]) == ("MATCHING", None, None)
    assert task["hustler_pay_cents"] == 3_400

    escrow = await poster.call("POST", f"{path}/fund", {})
    assert (escrow.status, escrow.body["state"], escrow.body["amount_cents"]) == (
        201,
        "FUNDED",
        4_000,
    )
    hustler = await people.offered(task, miles=0.1)
    (card,) = await offers_of(hustler, 1)
    assert card["task"]["location"].keys() == {"lat", "lng", "place"}
    assert card["task"]["location"]["lat"] != task["location"]["lat"]

    won = await hustler.good("POST", f"{path}/accept", {"version": task["version"]})
    assert (won["state"], won["assigned_hustler_id"]) == ("ACCEPTED", str(hustler.user_id))
    assert won["location"] == task["location"]
    assert "start_code" not in won
    assert (await hustler.comes(won))["arrived_at"] is not None

    seen = await poster.good("GET", path)
    assert "code_generation" not in seen
    started = await hustler.good("POST", f"{path}/start", {"code": seen["start_code"]})
    assert started["state"] == "WORKING"
    proof = await hustler.call("POST", f"{path}/proofs", {"code": seen["completion_code"]})
    assert (proof.status, proof.body["kind"], proof.body["state"]) == (201, "CODE", "SUBMITTED")
    for side in (poster, hustler):
        assert [p["id"] for p in (await side.good("GET", f"{path}/proofs"))["items"]] == [
            proof.body["id"]
        ]
    assert (await poster.good("POST", f"{path}/approve"))["state"] == "COMPLETED"

    received = await types_until(hustler, "PAYMENT_CAPTURED")
    assert [kind for kind in received if kind.startswith(("JOB_", "PAYMENT_"))] == [
        "JOB_ASSIGNED",
        "JOB_STARTED",
        "JOB_COMPLETED",
        "PAYMENT_CAPTURED",
    ]
    done = await poster.good("GET", path)
    assert done["escrow"]["state"] == "RELEASED"
    assert "start_code" not in done
    steps = (await poster.good("GET", f"{path}/history"))["items"]
    assert [(step["from"], step["to"]) for step in steps] == [
        (None, "MATCHING"),
        ("MATCHING", "ACCEPTED"),
        ("ACCEPTED", "WORKING"),
        ("WORKING", "PROOF_SUBMITTED"),
        ("PROOF_SUBMITTED", "COMPLETED"),
    ]
    assert [step["actor_id"] for step in steps[1:]] == [
        *[str(hustler.user_id)] * 3,
        str(poster.user_id),
    ]


async def test_the_posters_assignment_carries_the_start_code(people: People) -> None:
    """The log holds no code: it is filled in for the poster, and for nobody else."""
    poster, hustler, task = await people.accepted()

    async def assigned(person: Person) -> Any:
        return next(e for e in (await events(person))["events"] if e["type"] == "JOB_ASSIGNED")

    assert (await assigned(poster))["data"]["start_code"] == task["start_code"]
    assert "start_code" not in (await assigned(hustler))["data"]


async def test_repeating_what_is_done_answers_the_same(people: People) -> None:
    """Fund, accept, respond and start are idempotent by nature: 200 and the same result."""
    poster = await people.person("poster")
    task = await people.task(poster)
    path = f"/v1/tasks/{task['id']}"
    first = await poster.call("POST", f"{path}/fund", {})
    again = await poster.call("POST", f"{path}/fund", {})
    assert (first.status, again.status, again.body) == (201, 200, first.body)
    hustler = await people.offered(task)
    (card,) = await offers_of(hustler, 1)
    response = f"/v1/offers/{card['broadcast_id']}/response"
    won = await hustler.good("POST", response, {"response": "ACCEPT"})
    assert (won["outcome"], won["task"]["state"]) == ("WON", "ACCEPTED")
    assert await hustler.good("POST", response, {"response": "ACCEPT"}) == won
    assert await hustler.good("POST", f"{path}/accept", {}) == won["task"]
    code = (await poster.good("GET", path))["start_code"]
    started = await hustler.good("POST", f"{path}/start", {"code": code})
    assert await hustler.good("POST", f"{path}/start", {"code": code}) == started


async def test_a_long_poll_wakes_for_an_offer_and_for_its_end(people: People) -> None:
    """A waiting caller is told of the open offers when they change, then of none."""
    poster = await people.person("poster")
    task = await people.task(poster)
    hustler = await people.live_near(task)
    last_seq = (await events(hustler))["last_seq"]
    waiting = asyncio.create_task(events(hustler, last_seq, wait=5))
    await asyncio.sleep(0.05)
    await poster.good("POST", f"/v1/tasks/{task['id']}/fund", {})
    woken = await waiting
    assert [offer["task"]["id"] for offer in woken["offers"]] == [task["id"]]
    waiting = asyncio.create_task(events(hustler, woken["last_seq"], wait=5))
    await asyncio.sleep(0.05)
    cancelled = await poster.good("POST", f"/v1/tasks/{task['id']}/cancel", {"reason": "rain"})
    assert cancelled["state"] == "CANCELLED"
    assert (await waiting)["offers"] == []


async def test_a_long_poll_wakes_for_the_first_event(people: People) -> None:
    """The poster waits and is told of the accept at once."""
    poster = await people.person("poster")
    task = await people.funded(poster)
    hustler = await people.offered(task)
    last_seq = (await events(poster))["last_seq"]
    waiting = asyncio.create_task(events(poster, last_seq, wait=5))
    await asyncio.sleep(0.05)
    await hustler.good("POST", f"/v1/tasks/{task['id']}/accept", {})
    page = await waiting
    assert "JOB_ASSIGNED" in [event["type"] for event in page["events"]]
    assert "offers" not in page


async def test_a_poll_without_news_ends_after_its_wait(people: People) -> None:
    """No event, no offers: an empty page with the position."""
    poster = await people.person("poster")
    page = await events(poster, wait=0.1)
    assert page.pop("offers_tag")
    assert page == {"events": [], "last_seq": 0, "offers": []}


async def test_a_position_ahead_of_the_log_is_told_to_resync(people: People) -> None:
    """A cursor from another life gets a reason and the true position."""
    poster = await people.person("poster")
    assert await events(poster, after=7, wait=5) == {"resync": "AHEAD", "last_seq": 0}


async def test_a_position_older_than_the_log_is_told_to_resync(
    people: People, owner_dsn: str
) -> None:
    """When the events behind a position are gone, the caller starts from a snapshot."""
    poster, _, _ = await people.accepted()
    owner = await asyncpg.connect(owner_dsn, server_settings={"role": "hx_owner"})
    try:
        await trim(owner, poster.user_id, 1)
    finally:
        await owner.close()
    page = await events(poster)
    assert page["resync"] == "TOO_OLD"
    rest = await events(poster, after=1)
    assert rest["events"][0]["seq"] == 2


async def test_a_long_log_is_read_in_pages(people: People, owner_execute: Any) -> None:
    """`last_seq` is where the next call goes on, not where the log ends."""
    poster = await people.person("poster")
    await owner_execute(
        "select append_events((select jsonb_agg(hx_event($1, 'NUDGE', '{}')) "
        "from generate_series(1, 250)))",
        poster.user_id,
    )
    first = await events(poster)
    second = await events(poster, first["last_seq"])
    assert (len(first["events"]), first["last_seq"]) == (200, 200)
    assert (len(second["events"]), second["last_seq"]) == (50, 250)


async def test_nobody_accepts_and_the_poster_switches_to_standard(
    people: People, owner_execute: Any
) -> None:
    """The successor has the escrow; repeating the choice answers the same."""
    poster = await people.person("poster")
    task = await people.funded(poster)
    await owner_execute(
        "update live_broadcasts set state = 'EXPIRED', ended_at = hx_clock() where task_id = $1",
        UUID(task["id"]),
    )
    path = f"/v1/tasks/{task['id']}/broadcast-choice"
    chosen = await poster.good("POST", path, {"choice": "SWITCH_TO_STANDARD"})
    assert chosen["task"]["predecessor_id"] == task["id"]
    assert (chosen["task"]["mode"], chosen["task"]["state"]) == ("STANDARD", "OPEN")
    assert (chosen["escrow"]["id"], chosen["escrow"]["state"]) == (task["escrow"]["id"], "FUNDED")
    assert await poster.good("POST", path, {"choice": "SWITCH_TO_STANDARD"}) == chosen


async def test_a_released_task_goes_out_again_but_not_to_its_releaser(people: People) -> None:
    """Release ends the task and a successor with the same escrow is broadcast."""
    _, hustler, task = await people.accepted()
    released = await hustler.good(
        "POST", f"/v1/tasks/{task['id']}/release", {"reason": "flat tyre"}
    )
    assert (released["state"], released["successor_id"] is None) == ("CANCELLED", False)
    other = await people.offered(task)
    (card,) = await offers_of(other, 1)
    assert card["task"]["id"] == released["successor_id"]
    assert (await hustler.good("GET", "/v1/offers"))["items"] == []


async def test_live_mode_is_switched_and_moved_over_rest(people: People) -> None:
    """On, with own limits; a position; off, twice."""
    hustler = await people.person("hustler")
    assert await hustler.good("GET", "/v1/live") == {"state": "OFF"}
    spot = {"lat": 37.77, "lng": -122.42, "accuracy_m": 12.5}
    live = await hustler.good(
        "POST", "/v1/live", {"location": spot, "radius_miles": 5, "categories": ["moving"]}
    )
    assert (live["state"], live["radius_miles"], live["categories"]) == ("ACTIVE", 5, ["moving"])
    moved = await hustler.call(
        "PUT", "/v1/live/location", {"location": {"lat": 37.7701, "lng": -122.42}}
    )
    assert (moved.status, moved.body) == (204, None)
    for _ in range(2):
        assert (await hustler.good("DELETE", "/v1/live"))["state"] == "OFF"


async def test_declining_is_final_and_skipping_is_not(people: People) -> None:
    """Both take the card away and repeat; only a skipped offer may still be accepted."""
    poster = await people.person("poster")
    for response, outcome in (("SKIP", "SKIPPED"), ("DECLINE", "DECLINED")):
        task = await people.funded(poster)
        hustler = await people.offered(task)
        (card,) = await offers_of(hustler, 1)
        path = f"/v1/offers/{card['broadcast_id']}/response"
        for _ in range(2):
            received = await hustler.good("POST", path, {"response": response})
            assert received == {"broadcast_id": card["broadcast_id"], "outcome": outcome}
        assert (await hustler.good("GET", "/v1/offers"))["items"] == []
        late = await hustler.call("POST", f"/v1/tasks/{task['id']}/accept", {})
        assert late.status == (200 if response == "SKIP" else 403)


async def test_a_snapshot_and_the_account_tell_where_one_stands(people: People) -> None:
    """Snapshot and /v1/me agree with the single calls; the snapshot knows the codes too."""
    poster, hustler, task = await people.accepted()
    snapshot = await poster.good("GET", "/v1/snapshot")
    assert snapshot["tasks"] == [await poster.good("GET", f"/v1/tasks/{task['id']}")]
    assert snapshot["last_seq"] == (await events(poster))["last_seq"]
    me = await hustler.good("GET", "/v1/me")
    assert (me["id"], me["role"], me["account_status"]) == (
        str(hustler.user_id),
        "hustler",
        "ACTIVE",
    )
    assert me["live"] == await hustler.good("GET", "/v1/live")


async def test_pages_are_complete_and_in_order(people: People) -> None:
    """Paging through shows every task once, newest first, also when one is made meanwhile."""
    poster = await people.person("poster")
    made = [(await people.task(poster))["id"] for _ in range(5)]
    first = await poster.good("GET", "/v1/tasks?role=poster&limit=2")
    await people.task(poster)
    seen, cursor = [task["id"] for task in first["items"]], first["next_cursor"]
    while cursor:
        page = await poster.good("GET", f"/v1/tasks?role=poster&limit=2&cursor={cursor}")
        seen += [task["id"] for task in page["items"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]
    assert (await poster.good("GET", "/v1/tasks?role=hustler"))["items"] == []
    assert (await poster.good("GET", "/v1/tasks?role=poster&state=COMPLETED"))["items"] == []
    other = await people.person("poster")
    stolen = await other.call("GET", f"/v1/tasks?role=poster&cursor={first['next_cursor']}")
    assert stolen.refusal() == (422, "VALIDATION_ERROR", None)

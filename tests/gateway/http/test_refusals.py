"""Every refusal that REST documents, as an outside client meets it: nothing breaks, nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from engine.kernel import errors
from gateway.contract import problems
from gateway.http.endpoint import Endpoint
from gateway.http.parts import Parts
from gateway.identity.auth import ANYONE
from gateway.identity.rates import BAD_TOKEN
from gateway.server.app import create_app
from gateway.server.routes import ENDPOINTS
from tests.support.rest import Answer, People, Person


async def accept(person: Person, task: Any, **body: Any) -> Answer:
    """An attempt to accept."""
    return await person.call("POST", f"/v1/tasks/{task['id']}/accept", body)


async def test_a_live_task_for_less_than_fifteen_dollars(people: People) -> None:
    """$14.99 is HX902 LIVE-2, $15.00 is created."""
    poster = await people.person("poster")
    place = {"lat": 37.77, "lng": -122.42}
    task = {"mode": "LIVE", "title": "t", "description": "d", "category": "moving"}
    for price, status in ((1_499, 422), (1_500, 201)):
        made = await poster.call(
            "POST", "/v1/tasks", task | {"location": place, "price_cents": price}
        )
        assert made.status == status
        if status == 422:
            assert made.refusal() == (422, "HX902", "LIVE-2")
            assert made.body["type"] == "/errors/HX902-LIVE-2"


async def test_an_unfunded_live_task_cannot_be_accepted(people: People) -> None:
    """HX016 FUNDED."""
    task = await people.task(await people.person("poster"))
    hustler = await people.live_near(task)
    assert (await accept(hustler, task)).refusal() == (409, "HX016", "FUNDED")


async def test_accept_while_off(people: People) -> None:
    """An offer does not help a hustler who switched LIVE mode off: HX903."""
    task = await people.funded(await people.person("poster"))
    hustler = await people.offered(task)
    await hustler.good("DELETE", "/v1/live")
    assert (await accept(hustler, task)).refusal() == (403, "HX903", "LIVE-3")


async def test_accept_without_an_offer_never_says_why(people: People) -> None:
    """HX012, with neither invariant nor reason."""
    task = await people.funded(await people.person("poster"))
    unauthenticated = await people.live_near(task, miles=12)
    answer = await accept(unauthenticated, task)
    assert answer.refusal() == (403, "HX012", None)
    assert answer.body["type"] == "/errors/HX012"
    assert answer.body["detail"] == answer.body["title"] == "You cannot accept this task."


async def test_ones_own_task(people: People) -> None:
    """HX013 for a dual account that posted it."""
    both = await people.person("dual")
    task = await people.funded(both)
    assert (await accept(both, task)).refusal() == (403, "HX013", "OWN-TASK")


async def test_twenty_accept_at_once_and_one_wins(people: People) -> None:
    """One 200, all others 409 HX011; the winner's repetition is 200 again."""
    task = await people.funded(await people.person("poster"))
    crowd = await asyncio.gather(*(people.offered(task, 0.1 + n / 20) for n in range(20)))
    answers = await asyncio.gather(*(accept(hustler, task) for hustler in crowd))
    won = [n for n, answer in enumerate(answers) if answer.status == 200]
    assert len(won) == 1
    assert {a.refusal() for a in answers if a.status != 200} == {(409, "HX011", "TAKEN")}
    assert (await accept(crowd[won[0]], task)).body == answers[won[0]].body


async def test_a_second_live_task(people: People) -> None:
    """HX014 for a hustler who holds one already."""
    poster, hustler, first = await people.accepted()
    second = await people.funded(poster, location=first["location"])
    assert (await accept(hustler, second)).refusal() == (409, "HX014", "BUSY")


async def test_a_broadcast_that_is_over(people: People, owner_execute: Any) -> None:
    """HX015 on accept; as an answer to the offer it is the outcome EXPIRED."""
    task = await people.funded(await people.person("poster"))
    hustler = await people.offered(task)
    await owner_execute(
        "update live_broadcasts set state = 'EXPIRED', ended_at = hx_clock() where task_id = $1",
        UUID(task["id"]),
    )
    assert (await accept(hustler, task)).refusal() == (409, "HX015", "LIVE-5")
    response = f"/v1/offers/{task['broadcast']['id']}/response"
    received = await hustler.good("POST", response, {"response": "ACCEPT"})
    assert received["outcome"] == "EXPIRED"


async def test_terms_that_have_changed(people: People) -> None:
    """HX010 VERSION for an accept that names another version."""
    task = await people.funded(await people.person("poster"))
    hustler = await people.offered(task)
    stale = await accept(hustler, task, version=task["version"] + 1)
    assert stale.refusal() == (409, "HX010", "VERSION")


async def test_wrong_codes_are_counted_and_then_locked(people: People) -> None:
    """Five times HX018 CODE-WRONG, then CODE-LOCKED for 15 minutes, the right code included."""
    _, hustler, task = await people.accepted()
    path = f"/v1/tasks/{task['id']}/start"
    wrong = "000000" if task["start_code"] != "000000" else "111111"
    for _ in range(5):
        answer = await hustler.call("POST", path, {"code": wrong})
        assert answer.refusal() == (403, "HX018", "CODE-WRONG")
    locked = await hustler.call("POST", path, {"code": task["start_code"]})
    assert locked.refusal() == (429, "HX018", "CODE-LOCKED")
    assert 890 < locked.body["retry_after_seconds"] <= 900
    assert int(locked.headers["retry-after"]) == locked.body["retry_after_seconds"]


async def test_steps_out_of_order(people: People) -> None:
    """Approve before proof, cancel after arrival, proof without code: each its own refusal."""
    poster, hustler, task = await people.accepted()
    path = f"/v1/tasks/{task['id']}"
    early = await poster.call("POST", f"{path}/approve")
    assert early.refusal() == (409, "HX010", "TRANSITION")
    unproven = await hustler.call("POST", f"{path}/proofs", {})
    assert unproven.refusal() == (409, "HX301", "INV-3")
    away = await hustler.call("POST", f"{path}/arrived")
    assert away.refusal() == (422, "HX021", "ARRIVAL")
    assert away.body["reason"] == "not_at_place"
    await hustler.comes(task)
    late = await poster.call("POST", f"{path}/cancel", {})
    assert late.refusal() == (409, "HX010", "TRANSITION")


async def test_no_categories_at_all_are_refused_and_absent_ones_are_all(people: People) -> None:
    """An empty list would be a session that is never offered anything."""
    hustler = await people.person("hustler")
    spot = {"location": {"lat": 37.77, "lng": -122.42}}
    empty = await hustler.call("POST", "/v1/live", spot | {"categories": []})
    assert empty.refusal()[:2] == (422, "VALIDATION_ERROR")
    live = await hustler.good("POST", "/v1/live", spot | {"categories": None})
    assert (live["state"], "categories" in live) == ("ACTIVE", False)


async def test_toggling_too_soon_and_while_banned(people: People, owner_execute: Any) -> None:
    """HX904 for on-off-on by hand within 5 minutes, HX905 during a ban; off is always allowed."""
    hustler = await people.person("hustler")
    spot = {"location": {"lat": 37.77, "lng": -122.42}}
    await hustler.good("POST", "/v1/live", spot)
    await hustler.good("DELETE", "/v1/live")
    too_soon = await hustler.call("POST", "/v1/live", spot)
    assert too_soon.refusal() == (429, "HX904", "LIVE-TOGGLE")
    await owner_execute(
        "update live_status set banned_until = hx_clock() + interval '1 day' where user_id = $1",
        hustler.user_id,
    )
    banned = await hustler.call("POST", "/v1/live", spot)
    assert banned.refusal() == (403, "HX905", "LIVE-BAN")
    await hustler.good("DELETE", "/v1/live")


@pytest.mark.parametrize(
    "location",
    [{"lat": 0, "lng": 0}, {"lat": 37.77, "lng": -122.42, "accuracy_m": 101}],
)
async def test_a_position_nobody_believes(people: People, location: dict[str, float]) -> None:
    """HX021 for (0, 0) and for a fix worse than 100 m."""
    hustler = await people.person("hustler")
    answer = await hustler.call("POST", "/v1/live", {"location": location})
    assert answer.refusal() == (422, "HX021", "LOCATION")


async def test_a_position_that_jumps(people: People) -> None:
    """HX021 for a move at more than 320 km/h, and for one from the future."""
    hustler = await people.person("hustler")
    await hustler.good("POST", "/v1/live", {"location": {"lat": 37.77, "lng": -122.42}})
    jump = {"location": {"lat": 38.77, "lng": -122.42}}
    future = {"location": {"lat": 37.77, "lng": -122.42}, "at": "2090-01-01T00:00:00Z"}
    for body in (jump, future):
        answer = await hustler.call("PUT", "/v1/live/location", body)
        assert answer.refusal() == (422, "HX021", "LOCATION")


async def test_a_position_that_is_nobodys_business(people: People) -> None:
    """HX903 for a hustler who is neither LIVE nor on the way."""
    hustler = await people.person("hustler")
    answer = await hustler.call(
        "PUT", "/v1/live/location", {"location": {"lat": 37.77, "lng": -122.42}}
    )
    assert answer.refusal() == (403, "HX903", "LIVE-3")


async def test_a_live_task_is_hidden_from_those_without_an_offer(people: People) -> None:
    """404, as for a task that never was, on every call that names it."""
    poster, _, task = await people.accepted()
    unauthenticated = await people.person("dual")
    calls = [
        ("GET", "", None),
        ("GET", "/history", None),
        ("GET", "/proofs", None),
        ("POST", "/arrived", {}),
        ("POST", "/start", {"code": "123456"}),
        ("POST", "/release", {}),
        ("POST", "/proofs", {"code": "123456"}),
        ("POST", "/fund", {}),
        ("POST", "/approve", {}),
        ("POST", "/cancel", {}),
        ("POST", "/broadcast-choice", {"choice": "CANCEL"}),
    ]
    for method, step, body in calls:
        for task_id in (task["id"], str(uuid4())):
            answer = await unauthenticated.call(method, f"/v1/tasks/{task_id}{step}", body)
            assert answer.refusal() == (404, "NOT_FOUND", None), (method, step)
    assert (await poster.good("GET", f"/v1/tasks/{task['id']}"))["state"] == "ACCEPTED"


async def test_the_place_is_rounded_for_others(people: People) -> None:
    """Before accept a hustler with an offer sees the cell's centre, never address or codes."""
    task = await people.funded(await people.person("poster"))
    hustler = await people.offered(task)
    seen = await hustler.good("GET", f"/v1/tasks/{task['id']}")
    assert seen["location"].keys() == {"lat", "lng"}
    assert seen["location"]["lat"] != task["location"]["lat"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"not json", 400),
        (b'{"location": {"lat": NaN, "lng": 0}}', 400),
        (b'{"location": {"lat": 91, "lng": 0}}', 422),
        (b'{"location": {"lat": ' + b"9" * 30 + b', "lng": 0}}', 422),
        (b'{"location": {"lat": 1e999, "lng": 0}}', 422),
        (b"[" * 60_000, 422),
        (b'{"location": {"lat": 1, "lng": 1}, "state": "ACTIVE"}', 422),
        (b"null", 422),
        (b"", 422),
    ],
)
async def test_a_malformed_body_over_the_wire(people: People, content: bytes, status: int) -> None:
    """VALIDATION_ERROR with the documented status."""
    hustler = await people.person("hustler")
    answer = await hustler.call(
        "POST", "/v1/live", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.refusal() == (status, "VALIDATION_ERROR", None)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_of_another_type(people: People, content_type: str) -> None:
    """415 VALIDATION_ERROR."""
    poster = await people.person("poster")
    answer = await poster.call(
        "POST", "/v1/tasks", content=b"{}", headers={"Content-Type": content_type}
    )
    assert answer.refusal() == (415, "VALIDATION_ERROR", None)


async def test_too_many_bytes(people: People) -> None:
    """413 TOO_LARGE beyond 64 KiB, announced or streamed."""
    poster = await people.person("poster")

    async def stream() -> Any:
        for _ in range(70):
            yield b"x" * 1_024

    json_type = {"Content-Type": "application/json"}
    for content in (b"x" * (1 << 20), stream()):
        answer = await poster.call("POST", "/v1/tasks", content=content, headers=json_type)
        assert answer.refusal() == (413, "TOO_LARGE", None)


async def test_paths_and_methods_that_are_not_there(people: People) -> None:
    """404 NOT_FOUND and 405 with Allow, both as problem documents."""
    poster = await people.person("poster")
    nowhere = ("/v1/nothing", "/v1/tasks/", "/v1/tasks/7", "/v2/tasks", "/errors/HX999", "/a.css")
    for path in (*nowhere, "/../gateway/app.py", "/%2e%2e%2fapp.py"):
        assert (await poster.call("GET", path)).refusal() == (404, "NOT_FOUND", None)
    assert (await poster.call("POST", "/v1/nothing")).refusal() == (404, "NOT_FOUND", None)
    for method, path, allowed in (
        ("DELETE", "/v1/me", "GET"),
        ("GET", f"/v1/tasks/{uuid4()}/accept", "POST"),
        ("POST", "/livez", "GET"),
        ("DELETE", "/", "GET"),
    ):
        wrong = await poster.call(method, path)
        assert wrong.refusal() == (405, "VALIDATION_ERROR", None)
        assert allowed in wrong.headers["allow"]


def _paths(call: Endpoint) -> str:
    return re.sub(r"\{\w+:uuid\}", lambda _: str(uuid4()), call.path)


@pytest.mark.parametrize(
    "call",
    [call for call in ENDPOINTS if call.path != "/v1/events/stream"],  # which has no end
    ids=lambda call: f"{call.method} {call.path}",
)
async def test_each_role_may_call_what_the_table_says(people: People, call: Endpoint) -> None:
    """HX503 for other roles, before the body is looked at; never a 500 for those who may."""
    for role in sorted(ANYONE):
        person = await people.person(role)
        answer = await person.call(call.method, _paths(call), {} if call.method != "GET" else None)
        if role in call.who:
            assert answer.status < 500
            assert answer.status not in (401, 405)
            assert answer.body is None or answer.body.get("code") != "HX503"
        else:
            assert answer.refusal() == (403, "HX503", "PERMISSION")


@pytest.mark.parametrize("call", ENDPOINTS, ids=lambda call: f"{call.method} {call.path}")
async def test_no_call_works_without_a_token(parts: Parts, call: Endpoint) -> None:
    """401 HX501 without a token, 401 HX502 with a bad one, on every row of the table."""
    # each from an address of its own: one that shows many bad tokens is braked
    transport = httpx.ASGITransport(create_app(parts), client=(f"row {ENDPOINTS.index(call)}", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://hx") as client:
        for headers, code in (({}, "HX501"), ({"Authorization": "Bearer x.y.z"}, "HX502")):
            response = await client.request(call.method, _paths(call), headers=headers)
            assert (response.status_code, response.json()["code"]) == (401, code)
            assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_suspended_account_is_shut_out(people: People, owner_execute: Any) -> None:
    """HX503 although the token is good."""
    poster = await people.person("poster")
    await owner_execute(
        "update users set account_status = 'SUSPENDED' where id = $1", poster.user_id
    )
    assert (await poster.call("GET", "/v1/me")).refusal() == (403, "HX503", "PERMISSION")


async def test_too_many_calls_are_braked(people: People, parts: Parts) -> None:
    """429 RATE_LIMITED with the seconds to wait, for this user alone."""
    greedy, other = await people.person("hustler"), await people.person("hustler")
    path = f"/v1/tasks/{uuid4()}/accept"
    answers = [await greedy.call("POST", path, {}) for _ in range(22)]
    braked = next(answer for answer in answers if answer.status == 429)
    assert braked.refusal() == (429, "RATE_LIMITED", None)
    assert braked.body["retryable"] is True
    assert 0 < braked.body["retry_after_seconds"] < 1
    assert braked.headers["retry-after"] == "1"
    assert (await other.call("POST", path, {})).status == 404
    assert parts.metrics.requests._refusals.labels("RATE_LIMITED", "", "rest")._value.get() >= 1


async def test_bad_tokens_shut_out_nobody_else(people: People, parts: Parts) -> None:
    """From one address: guesses beyond the limit are 429, a good token still works."""
    poster = await people.person("poster")
    forger = Person(people.client, poster.user_id, "x.y.z")
    with contextlib.suppress(errors.Refusal):
        while True:
            parts.rates.spend_address("127.0.0.1")
    assert (await forger.call("GET", "/v1/me")).refusal() == (429, "RATE_LIMITED", None)
    assert (await poster.call("GET", "/v1/me")).status == 200
    del parts.rates._buckets[BAD_TOKEN.name, "127.0.0.1"]


@pytest.mark.parametrize("kind", errors.REGISTRY.values(), ids=lambda k: f"{k.code}-{k.invariant}")
async def test_each_problem_type_leads_to_its_explanation(
    client: httpx.AsyncClient, kind: errors.ErrorKind
) -> None:
    """`type` is a link into the docs page, and the page has the anchor."""
    response = await client.get(problems.problem_type(kind))
    assert response.status_code == 303
    page, _, anchor = response.headers["location"].partition("#")
    assert f'id="{anchor}"' in (await client.get(page)).text


async def test_no_refusal_tells_of_the_database(people: People) -> None:
    """Bodies of all refusals above are made of registered titles and field names only."""
    poster = await people.person("poster")
    answer = await poster.call("POST", "/v1/tasks", {"mode": "LIVE", "title": "'; drop table"})
    assert "drop table" not in json.dumps(answer.body)

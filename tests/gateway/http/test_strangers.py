"""A stranger reads nothing of anybody: every GET of the URL table, with ids that are real."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import UUID

import pytest

from engine.kernel.errors import Refusal
from engine.kernel.ids import UserId
from gateway.http.decoding import Nothing
from gateway.http.endpoint import Endpoint, RequestContext
from gateway.http.parts import Parts
from gateway.identity.auth import ADMINS, Caller
from gateway.server.routes import ENDPOINTS
from tests.engine.photos import pictures
from tests.gateway.conftest import Execute
from tests.support.rest import People, Person

ENDLESS = "/v1/events/stream"
"""Tells of the caller alone, by no id, and does not end: `test_event_stream.py` reads it."""
GETS = [call for call in ENDPOINTS if call.method == "GET" and call.path != ENDLESS]
CANARY = "Behind the blue door"
"""What both sides wrote, all over the task."""


def called(call: Endpoint) -> str:
    """A call's name in a test."""
    return call.path


@pytest.fixture(scope="module")
async def foreign(people: People) -> dict[str, str]:
    """Everything that two others have between them: the ids of a disputed task, by path parameter."""
    poster, hustler, task = await people.accepted(title=CANARY, description=CANARY, min_photos=1)
    path = f"/v1/tasks/{task['id']}"
    await hustler.good("POST", f"{path}/price-proposals", {"price_cents": 4_444})
    await hustler.good("POST", f"{path}/start", {"code": task["start_code"]})
    photo = await uploaded(hustler)
    await hustler.good("POST", f"{path}/proofs", {"photos": [photo]})
    await poster.good("POST", f"{path}/dispute", {"reason": CANARY})
    await poster.good("POST", f"{path}/evidence", {"text": CANARY})
    dispute = await hustler.good("GET", f"{path}/dispute")
    assert CANARY in json.dumps(dispute)
    return {
        "task_id": task["id"],
        "photo_id": photo,
        "dispute_id": dispute["id"],
        "user_id": str(hustler.user_id),
    }


async def uploaded(person: Person) -> str:
    """A photo of this person's."""
    response = await person.client.post(
        "/v1/uploads",
        files={"file": ("door.jpg", pictures.jpeg(), "image/jpeg")},
        headers={"Authorization": f"Bearer {person.token}"},
    )
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def filled(call: Endpoint, ids: dict[str, str]) -> str:
    """The call's path; a parameter that `foreign` does not know fails the test of its route."""
    return re.sub(r"\{(\w+):uuid\}", lambda parameter: ids[parameter[1]], call.path)


@pytest.mark.parametrize("call", GETS, ids=called)
async def test_a_stranger_reads_nothing_by_an_id_and_finds_it_in_no_list(
    people: People, foreign: dict[str, str], call: Endpoint
) -> None:
    """404, or 403 for who has another role; a list tells of the caller's own."""
    for role in ("poster", "hustler", "dual"):
        stranger = await people.person(role)
        response = await stranger.client.get(
            filled(call, foreign), headers={"Authorization": f"Bearer {stranger.token}"}
        )
        if "{" in call.path or role not in call.who:
            assert response.status_code in (403, 404), (role, response.text)
        assert CANARY not in response.text
        path = filled(call, foreign)
        assert not [i for i in foreign.values() if i in response.text and i not in path]


@pytest.mark.parametrize("call", [c for c in GETS if "{" in c.path and c.who != ADMINS], ids=called)
async def test_sql_refuses_a_stranger_whatever_python_lets_through(
    people: People, parts: Parts, foreign: dict[str, str], call: Endpoint
) -> None:
    """The handler alone, with no role or rate before it."""
    stranger = await people.person("dual")
    ids = {name: UUID(value) for name, value in foreign.items()}
    assert call.query_type is Nothing
    caller = Caller(UserId(stranger.user_id), "admin", 1e12)
    context: RequestContext[Any, Any] = RequestContext(caller, ids, Nothing(), Nothing(), never)
    with pytest.raises(Refusal) as refused:
        await call.handler(parts, context)
    assert refused.value.kind.code == "NOT_FOUND"


async def never() -> bool:
    """Nobody hangs up."""
    return False


async def test_an_admin_who_is_none_any_more_reads_nothing_from_now_on(
    people: People, foreign: dict[str, str], owner_execute: Execute
) -> None:
    """The account says so, though its token was checked a moment ago."""
    admin = await people.person("admin")
    assert (await admin.call("GET", "/v1/admin/desk")).status == 200
    await owner_execute("update users set role = 'dual' where id = $1", admin.user_id)
    for call in GETS:
        if call.who == ADMINS:
            answer = await admin.call("GET", filled(call, foreign))
            assert answer.refusal() == (403, "HX503", "PERMISSION"), call.path

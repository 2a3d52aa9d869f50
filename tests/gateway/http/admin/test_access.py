"""Who may come to the admin queue, and what every command must say."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest

from gateway.http.endpoint import Endpoint
from gateway.identity.auth import ADMINS
from gateway.server.admin_routes import ADMIN_ENDPOINTS
from gateway.server.routes import ENDPOINTS
from tests.gateway.http.admin.traffic import WHY
from tests.support.market import Market
from tests.support.paths import ROOT
from tests.support.rest import People, Person

COMMANDS = [call for call in ADMIN_ENDPOINTS if call.method == "POST"]
# What a command's body needs beside the reason.
MORE: dict[str, dict[str, object]] = {
    "resolve": {"outcome": "HUSTLER"},
    "book_leg": {"leg": "REFUND", "reference": "re_1"},
    "live_ban": {"until": None},
    "live": {"act": "END_SESSION"},
    "payout_account": {"account_id": "acct_1"},
    "trust_tier": {"tier": 2},
    "grant_badge": {"badge_type": "TASKS_10"},
}


def path_of(call: Endpoint) -> str:
    """The call's path with an id of nothing."""
    return re.sub(r"\{\w+:uuid\}", str(uuid4()), call.path)


def body_of(call: Endpoint) -> dict[str, object] | None:
    """A body that decodes."""
    if call.method == "GET":
        return None
    return {"reason": WHY} | MORE.get(call.handler.__name__, {})


def called(call: Endpoint) -> str:
    """A call's name in a test."""
    return f"{call.method} {call.path}"


def test_all_of_the_admin_queue_is_for_admins_and_nothing_else_is() -> None:
    """/v1/admin is one table, and its role is admin."""
    assert all(call.who == ADMINS for call in ADMIN_ENDPOINTS)
    assert [call for call in ENDPOINTS if "/admin/" in call.path] == list(ADMIN_ENDPOINTS)
    assert {call.method for call in ADMIN_ENDPOINTS} == {"GET", "POST"}


async def test_nobody_else_gets_in(people: People) -> None:
    """HX503 for every other role on every call."""
    others = [await people.person(role) for role in ("poster", "hustler", "dual")]
    for call in ADMIN_ENDPOINTS:
        for person in others:
            answer = await person.call(call.method, path_of(call), body_of(call))
            assert answer.refusal() == (403, "HX503", "PERMISSION"), called(call)


@pytest.mark.parametrize("call", COMMANDS, ids=called)
async def test_a_command_needs_a_reason(admin: Person, call: Endpoint) -> None:
    """VALIDATION_ERROR without one, and for one of blanks; nothing is recorded."""
    for reason in ({}, {"reason": " \n"}, {"reason": "x" * 2_001}):
        body = MORE.get(call.handler.__name__, {}) | reason
        answer = await admin.call("POST", path_of(call), body)
        assert answer.refusal()[:2] == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize("call", COMMANDS, ids=called)
async def test_a_command_about_nothing_is_not_found_and_leaves_no_act(
    admin: Person, market: Market, call: Endpoint
) -> None:
    """The audit row goes with the transaction that did nothing."""
    path = path_of(call)
    answer = await admin.call("POST", path, body_of(call))
    assert answer.refusal()[:2] == (404, "NOT_FOUND")
    target = re.search(r"[0-9a-f-]{36}", path)
    assert target is not None
    acts = "select count(*) from admin_actions where target_id = $1"
    assert await market.app.fetchval(acts, target[0]) == 0


async def test_a_suspended_admin_is_no_admin(people: People, admin: Person) -> None:
    """Another admin may shut the account, and nobody their own."""
    other = await people.person("admin")
    own = f"/v1/admin/users/{other.user_id}/suspend"
    refused = (await other.call("POST", own, {"reason": WHY})).refusal()
    assert refused == (403, "HX503", "OWN-CASE")
    await admin.good("POST", own, {"reason": WHY})
    answer = await other.call("GET", "/v1/admin/desk")
    assert answer.refusal()[:2] == (403, "HX503")


def test_the_page_names_every_call() -> None:
    """docs/admin.md, by method and path."""
    page = (ROOT / "docs" / "admin.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(GET|POST) (/v1/admin[^?`]*)[^`]*`", page))
    ours = {(call.method, call.path.replace(":uuid", "")) for call in ADMIN_ENDPOINTS}
    assert named == ours

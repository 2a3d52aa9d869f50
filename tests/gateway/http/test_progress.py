"""Progress over REST: what a hustler sees of it, and the little that they may write."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from gateway.http.docs import openapi
from gateway.server.routes import ENDPOINTS
from tests.gateway.http.test_life_over_rest import types_until
from tests.support.rest import People, Person


async def paid(people: People) -> Person:
    """A hustler whose first LIVE task of $40 was paid."""
    poster, hustler, task = await people.accepted()
    path = f"/v1/tasks/{task['id']}"
    await hustler.good("POST", f"{path}/start", {"code": task["start_code"]})
    await hustler.good("POST", f"{path}/proofs", {"code": task["completion_code"]})
    await poster.good("POST", f"{path}/approve", {})
    await types_until(hustler, "PAYMENT_CAPTURED")
    return hustler


async def test_a_paid_task_shows_in_the_account_and_in_the_log(people: People) -> None:
    """Money, XP, badges: told by events, and found under /v1/me and /v1/me/progress."""
    hustler = await paid(people)
    me = await hustler.good("GET", "/v1/me")
    assert (me["total_xp"], me["level"], me["level_title"]) == (78, 1, "Rookie")
    assert (me["streak_days"], me["trust_points"], me["trust_tier"]) == (1, 2.5, 2)

    shown = await hustler.good("GET", "/v1/me/progress")
    assert (shown["total_xp"], shown["next_level_xp"], shown["trust_name"]) == (78, 100, "VERIFIED")
    assert {badge["badge_type"] for badge in shown["badges"]} == {"FIRST_TASK", "FIRST_LIVE_TASK"}
    award = shown["recent_awards"][0]
    assert (award["xp"], award["base_xp"], award["total_xp"]) == (78, 40, 78)
    assert [award[f"{name}_multiplier"] for name in ("streak", "trust", "live")] == [
        1.05,
        1.5,
        1.25,
    ]
    assert shown["next_tier"]["name"] == "TRUSTED"
    assert {c["criterion"]: (c["required"], c["reached"], c["is_met"]) for c in
            shown["next_tier"]["criteria"]} == {
        "COMPLETED_TASKS": (20, 1, False),
        "APPROVAL_RATE": (0.95, 1, True),
        "IDENTITY_VERIFIED": (1, 1, True),
    }  # fmt: skip
    assert shown["live_record"]["total_live_tasks"] == 1
    assert shown["live_record"]["live_earnings_total"] == 3_400

    received = (await hustler.good("GET", "/v1/events"))["events"]
    awarded = [event["data"] for event in received if event["type"] == "XP_AWARDED"]
    assert [(data["xp"], data["level_title"]) for data in awarded] == [(78, "Rookie")]
    unlocked = {e["data"]["badge_id"] for e in received if e["type"] == "BADGE_UNLOCKED"}
    assert unlocked == {badge["id"] for badge in shown["badges"]}

    schema = openapi.document(ENDPOINTS, "0")["components"]["schemas"]["ProgressView"]
    assert set(schema["required"]) <= set(shown) <= set(schema["properties"])


async def test_an_unlock_animation_is_confirmed_once(people: People) -> None:
    """A second device gets the time of the first; a stranger, and nobody's badge, get 404."""
    hustler, unauthenticated = await paid(people), await people.person("hustler")
    badge: Any = (await hustler.good("GET", "/v1/me/progress"))["badges"][0]
    assert badge["animation_shown_at"] is None
    path = f"/v1/me/badges/{badge['id']}/shown"
    assert (await unauthenticated.call("POST", path)).refusal()[:2] == (404, "NOT_FOUND")
    first = await hustler.good("POST", path)
    assert first["animation_shown_at"] is not None
    assert await hustler.good("POST", path) == first
    missing = await hustler.call("POST", f"/v1/me/badges/{uuid4()}/shown")
    assert missing.refusal()[:2] == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": ""},
        {"time_zone": 5},
        {"time_zone": "x" * 65},
        {"time_zone": "UTC", "trust_tier": 4},
        {"time_zone": "UTC\u0000"},
    ],
)
async def test_what_is_no_time_zone_is_refused(people: People, body: dict[str, Any]) -> None:
    """422, and the account stays as it was."""
    hustler = await people.person("hustler")
    refusal = (await hustler.call("PATCH", "/v1/me", body)).refusal()
    assert refusal[:2] == (422, "VALIDATION_ERROR")
    assert (await hustler.good("GET", "/v1/me"))["time_zone"] == "UTC"


async def test_the_time_zone_is_the_users_own(people: People) -> None:
    """Set, answered with the account, and shown again."""
    hustler = await people.person("hustler")
    edited = await hustler.good("PATCH", "/v1/me", {"time_zone": "America/Los_Angeles"})
    assert edited["time_zone"] == "America/Los_Angeles"
    assert (await hustler.good("GET", "/v1/me/progress"))["time_zone"] == "America/Los_Angeles"

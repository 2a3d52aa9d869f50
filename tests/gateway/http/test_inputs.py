"""Odd inputs over the wire: times of every offset, texts nobody can see, bodies wrong all over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.support.rest import Answer, People, Person

IN_A_WEEK = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)


def sent_at(minutes: int) -> str:
    """The same instant, as a clock with this offset writes it."""
    return IN_A_WEEK.astimezone(timezone(timedelta(minutes=minutes))).isoformat()


async def created(poster: Person, **changes: Any) -> Answer:
    """An attempt to create a task from the fields that are needed and these."""
    needed = {
        "title": "Carry a wardrobe",
        "description": "Two of us, one floor.",
        "category": "moving",
        "price_cents": 4_000,
        "location": {"lat": 37.77, "lng": -122.42},
    }
    return await poster.call("POST", "/v1/tasks", needed | changes)


async def test_a_deadline_is_the_same_instant_in_every_offset(people: People) -> None:
    """From −23:59 to +23:59; creating and editing write what was meant, in one form."""
    poster = await people.person("poster")
    task = (await created(poster)).body
    for hours in range(-23, 24):
        for minutes in {60 * hours, 60 * hours + 59 if hours >= 0 else 60 * hours - 59}:
            change = {"deadline": sent_at(minutes)}
            edited = await poster.good("PATCH", f"/v1/tasks/{task['id']}", change)
            assert edited["deadline"] == f"{IN_A_WEEK:%Y-%m-%dT%H:%M:%S}.000000Z", change
    for minutes in (-1439, -960, 960, 1439):
        made = await created(poster, deadline=sent_at(minutes))
        assert (made.status, made.body["deadline"]) == (201, edited["deadline"])


@pytest.mark.parametrize(
    "deadline",
    [
        "0001-01-01T00:00:00+23:59",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59.9999999Z",
        "2030-01-01T00:00:60Z",
        "2030-02-29T00:00:00Z",
        "2030-01-01T00:00:00+24:00",
        "2030-01-01T00:00:00",
        "infinity",
        "",
        1_900_000_000,
        1e308,
        True,
    ],
)
async def test_a_deadline_that_is_no_time_of_ours_is_refused(
    people: People, deadline: object
) -> None:
    """422 with its pointer, creating and editing."""
    poster = await people.person("poster")
    task = (await created(poster)).body
    edit = await poster.call("PATCH", f"/v1/tasks/{task['id']}", {"deadline": deadline})
    for answer in (await created(poster, deadline=deadline), edit):
        assert answer.refusal() == (422, "VALIDATION_ERROR", None)
        assert [field["pointer"] for field in answer.body["errors"]] == ["/deadline"]


async def test_every_other_time_that_comes_in_is_read_in_every_offset(people: People) -> None:
    """A ban's end and a position's moment; beyond the calendar they are refused, never a 500."""
    admin, hustler = await people.person("admin"), await people.person("hustler")
    ban = f"/v1/admin/users/{hustler.user_id}/live-ban"
    for until, status in (
        (sent_at(1439), 200),
        (sent_at(-1439), 200),
        ("0001-01-01T00:00:00+23:59", 422),
        ("9999-12-31T23:59:59-23:59", 422),
    ):
        answer = await admin.call("POST", ban, {"until": until, "reason": "Seen twice."})
        assert answer.status == status, answer.body
    driver = await people.person("hustler")
    spot = {"lat": 37.77, "lng": -122.42}
    now = datetime.now(UTC)
    for minutes, status in ((1439, 200), (-960, 200)):
        at = now.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
        live = await driver.call("POST", "/v1/live", {"location": spot, "at": at})
        assert live.status == status, live.body
    for at in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):
        moved = await driver.call("PUT", "/v1/live/location", {"location": spot, "at": at})
        assert moved.refusal() == (422, "HX021", "LOCATION")


async def test_a_task_without_a_mode_is_standard(people: People) -> None:
    """As with `mode: STANDARD`; null is no mode."""
    poster = await people.person("poster")
    made = await created(poster)
    assert (made.status, made.body["mode"], made.body["state"]) == (201, "STANDARD", "OPEN")
    assert (await created(poster, mode=None)).body["errors"][0]["pointer"] == "/mode"


async def test_a_task_shows_what_its_poster_asked_for(people: People) -> None:
    """Every requirement, as it was set and as it is when it was not."""
    asked = {
        "estimated_minutes": 45,
        "required_trade": "electrician",
        "required_trust_tier": 2,
        "insurance_required": True,
        "background_check_required": True,
        "min_photos": 3,
        "requires_proof": True,
    }
    poster = await people.person("poster")
    made = (await created(poster, **asked)).body
    assert {name: made[name] for name in asked} == asked
    plain = (await created(poster)).body
    assert [plain[name] for name in asked] == [None, None, 1, False, False, 1, True]


UNSEEN = {"zero width": "\u200b\u200d", "bidi": "a\u202eb", "bell": "a\u0007", "blank": " \u3164"}


@pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN.keys())
async def test_texts_that_nobody_can_read_are_refused_everywhere(people: People, text: str) -> None:
    """Each text of each call, told by its pointer."""
    poster, hustler, task = await people.accepted()
    admin, path = await people.person("admin"), f"/v1/tasks/{task['id']}"
    for field in ("title", "description", "category", "required_trade"):
        assert pointers(await created(poster, **{field: text})) == [f"/{field}"]
    place = {"lat": 37.77, "lng": -122.42, "address": text}
    assert pointers(await created(poster, location=place)) == ["/location/address"]
    assert pointers(await poster.call("PATCH", path, {"title": text})) == ["/title"]
    for side, call, name in (
        (poster, "cancel", "reason"),
        (hustler, "release", "reason"),
        (poster, "reject", "reason"),
        (poster, "dispute", "reason"),
        (poster, "evidence", "text"),
    ):
        assert pointers(await side.call("POST", f"{path}/{call}", {name: text})) == [f"/{name}"]
    offer = f"/v1/offers/{task['broadcast']['id']}/response"
    declined = {"response": "DECLINE", "decline_reason": text}
    assert pointers(await hustler.call("POST", offer, declined)) == ["/decline_reason"]
    ban = {"until": None, "reason": text}
    banned = await admin.call("POST", f"/v1/admin/users/{hustler.user_id}/live-ban", ban)
    assert pointers(banned) == ["/reason"]
    live = {"location": {"lat": 37.77, "lng": -122.42}, "categories": ["moving", text]}
    assert pointers(await hustler.call("POST", "/v1/live", live)) == ["/categories/1"]


def pointers(answer: Answer) -> list[str]:
    """Where a refused body is wrong."""
    assert answer.refusal() == (422, "VALIDATION_ERROR", None), answer.body
    return [field["pointer"] for field in answer.body["errors"]]


async def test_writing_of_every_kind_passes(people: People) -> None:
    """Joined emoji, Arabic and Hebrew, lines in a description."""
    poster = await people.person("poster")
    for title in ("\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f", "\u0645\u0631\u062d\u0628\u0627", "\u05e9\u05dc\u05d5\u05dd 1"):  # fmt: skip
        made = await created(poster, title=title, description=f"{title}\r\n\tand\n{title}")
        assert (made.status, made.body["title"]) == (201, title)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"location": {"lat": 0, "lng": 0}}, "null_island"),
        ({"location": {"lat": 38.77, "lng": -122.42}}, "impossible_speed"),
        ({"location": {"lat": 37.77, "lng": -122.42, "accuracy_m": 101}}, "inaccurate"),
        ({"at": "2090-01-01T00:00:00Z"}, "future"),
        ({"at": "2001-01-01T00:00:00Z"}, "older_than_last"),
    ],
)
async def test_a_refused_position_names_its_reason(
    people: People, change: dict[str, Any], reason: str
) -> None:
    """In a field of its own."""
    hustler, spot = await people.person("hustler"), {"lat": 37.77, "lng": -122.42}
    await hustler.good("POST", "/v1/live", {"location": spot})
    moved = await hustler.call("PUT", "/v1/live/location", {"location": spot} | change)
    assert moved.refusal() == (422, "HX021", "LOCATION")
    assert moved.body["reason"] == reason


async def test_what_the_database_refuses_names_its_field_too(people: People) -> None:
    """A deadline in two years, a time zone of no place, a LIVE task below its floor."""
    poster = await people.person("poster")
    far = (IN_A_WEEK + timedelta(days=800)).isoformat()
    assert pointers(await created(poster, deadline=far)) == ["/deadline"]
    assert pointers(await poster.call("PATCH", "/v1/me", {"time_zone": "Mars/Base"})) == [
        "/time_zone"
    ]
    cheap = await created(poster, mode="LIVE", price_cents=1_499)
    assert cheap.refusal() == (422, "HX902", "LIVE-2")
    assert [field["pointer"] for field in cheap.body["errors"]] == ["/price_cents"]


@pytest.mark.parametrize("cursor", ["x", "A" * 60, "A" * 401, "\u200b"])
async def test_a_cursor_of_somebody_else_is_named(people: People, cursor: str) -> None:
    """Made up, too long or of no letters: one pointer."""
    poster = await people.person("poster")
    answer = await poster.call("GET", f"/v1/tasks?role=poster&cursor={cursor}")
    assert pointers(answer) == ["/cursor"]

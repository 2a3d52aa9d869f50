"""Whoever asks at the wrong time, in the wrong words or for another's task is told so precisely."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.people import Chain, Person, Reach

REASON = {"reason": "Because."}
STEPS: dict[str, dict[str, Any]] = {
    "fund": {},
    "accept": {},
    "arrived": {},
    "start": {"code": "000000"},
    "release": {},
    "proofs": {"code": "000000"},
    "approve": {},
    "reject": REASON,
    "dispute": REASON,
    "evidence": {"text": "Look."},
    "price-proposals": {"price_cents": 5_000},
    "cancel": {},
    "broadcast-choice": {"choice": "CANCEL"},
}
POSTERS = ("fund", "approve", "reject", "cancel", "broadcast-choice")
HUSTLERS = ("accept", "arrived", "start", "release", "proofs")


async def test_a_stranger_learns_nothing_of_a_task(chain: Chain) -> None:
    """404 on every step and every list, as for a task that never was."""
    poster, hustler = await chain.pair()
    stranger = await chain.person("dual")
    task = await chain.handed_in(poster, hustler)
    for step, body in STEPS.items():
        for it in (task, str(uuid4())):
            # who holds a task is told to those who try to take it, and nothing else
            known = (409, "HX011-TAKEN") if (step, it) == ("accept", task) else (404, "NOT_FOUND")
            assert await stranger.cannot(it, step, body) == known, step
    for page in ("", "/history", "/proofs", "/dispute", "/price-proposals"):
        assert await stranger.refused("GET", f"/v1/tasks/{task}{page}") == (404, "NOT_FOUND"), page


async def test_a_step_belongs_to_one_side(chain: Chain) -> None:
    """By role before the task is looked at, and by side for those who may do both."""
    poster, hustler = await chain.pair()
    both, other = await chain.person("dual"), await chain.person("dual")
    task, mutual = await chain.started(poster, hustler), await chain.started(both, other)
    for step in POSTERS:
        assert await hustler.cannot(task, step, STEPS[step]) == (403, "HX503-PERMISSION"), step
        if step != "fund":
            refused = await other.cannot(mutual, step, STEPS[step])
            assert refused == (403, "HX503-PERMISSION"), step
    assert await other.cannot(mutual, "fund") == (404, "NOT_FOUND")
    for step in HUSTLERS:
        assert await poster.cannot(task, step, STEPS[step]) == (403, "HX503-PERMISSION"), step
        refused = await both.cannot(mutual, step, STEPS[step])
        own = (403, "HX013-OWN-TASK") if step == "accept" else (404, "NOT_FOUND")
        assert refused == own, step


NOT_NOW = (409, "HX010-TRANSITION")
OVER = (409, "HX001-TASK-TERMINAL")
WON = 200


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            "OPEN",
            {"approve": NOT_NOW, "reject": NOT_NOW, "broadcast-choice": NOT_NOW, "fund": WON},
        ),
        (
            "ACCEPTED",
            {"approve": NOT_NOW, "reject": NOT_NOW, "broadcast-choice": NOT_NOW, "accept": WON},
        ),
        (
            "WORKING",
            {
                "approve": NOT_NOW, "reject": NOT_NOW, "cancel": NOT_NOW, "release": NOT_NOW,
                "arrived": WON, "accept": WON, "start": WON, "fund": WON,
            },
        ),
        (
            "PROOF_SUBMITTED",
            {
                "proofs": NOT_NOW, "cancel": NOT_NOW, "release": NOT_NOW, "start": WON,
                "price-proposals": NOT_NOW, "arrived": WON,
            },
        ),
        (
            "DISPUTED",
            {
                "approve": NOT_NOW, "reject": NOT_NOW, "proofs": NOT_NOW, "cancel": NOT_NOW,
                "release": NOT_NOW, "arrived": WON, "fund": WON, "price-proposals": NOT_NOW,
            },
        ),
        (
            "COMPLETED",
            {
                "approve": WON, "reject": NOT_NOW, "proofs": NOT_NOW, "cancel": OVER,
                "release": NOT_NOW, "dispute": NOT_NOW, "start": WON, "fund": WON, "accept": WON,
            },
        ),
        (
            "CANCELLED",
            {
                "approve": NOT_NOW, "reject": NOT_NOW, "proofs": NOT_NOW, "cancel": WON,
                "release": NOT_NOW, "dispute": NOT_NOW, "start": NOT_NOW, "arrived": NOT_NOW,
                "fund": OVER, "accept": (409, "HX015-LIVE-5"), "price-proposals": NOT_NOW,
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_every_step_at_the_wrong_time(
    chain: Chain, state: str, expected: dict[str, tuple[int, str] | int]
) -> None:
    """Its exact problem; 200 where the caller repeats what is achieved already."""
    poster, hustler = await chain.pair()
    task = await led_to(chain, poster, hustler, state)
    before = await poster.task(task)
    for step, answer in expected.items():
        side = hustler if step in HUSTLERS else poster
        if answer == WON:
            assert (await side.call("POST", f"/v1/tasks/{task}/{step}", STEPS[step])).status == WON
        else:
            assert await side.cannot(task, step, STEPS[step]) == answer, step
    assert await poster.task(task) == before


async def led_to(chain: Chain, poster: Person, hustler: Person, state: str) -> str:
    """A STANDARD task in this state."""
    reach: Reach = {
        "ACCEPTED": chain.accepted, "WORKING": chain.started, "CANCELLED": chain.accepted,
    }.get(state, chain.handed_in)  # fmt: skip
    if state == "OPEN":
        return str((await chain.funded(poster))["id"])
    task = await reach(poster, hustler)
    last = {
        "COMPLETED": ("approve", {}),
        "CANCELLED": ("cancel", {}),
        "DISPUTED": ("dispute", REASON),
    }
    if state in last:
        await poster.does(task, *last[state])
    if state == "COMPLETED":
        await poster.hears("PAYMENT_CAPTURED", task_id=task)
    if state == "CANCELLED":
        await poster.hears("PAYMENT_REFUNDED", task_id=task)
    return task


@pytest.mark.parametrize("step", ["reject", "dispute"])
async def test_a_reason_is_1_to_2000_characters_of_sense(chain: Chain, step: str) -> None:
    """The last that is taken, and everything that is not."""
    poster, hustler = await chain.pair()
    task = await chain.handed_in(poster, hustler)
    for reason in ("", " \n\t", "x" * 2_001, "a\0b", None, 7, ["x"], {"text": "x"}):
        refused = await poster.cannot(task, step, {"reason": reason})
        assert refused == (422, "VALIDATION_ERROR"), reason
    bodies: list[Any] = [{}, REASON | {"state": "COMPLETED"}, [], "Because."]
    for body in bodies:
        assert await poster.cannot(task, step, body) == (422, "VALIDATION_ERROR")
    assert (await poster.does(task, step, {"reason": "x" * 2_000}))["id"] == task


@pytest.mark.parametrize("step", ["cancel", "release"])
async def test_a_word_at_the_end_has_at_most_200_characters(chain: Chain, step: str) -> None:
    """It may be left out, but not be long."""
    poster, hustler = await chain.pair()
    task = await chain.accepted(poster, hustler)
    side = poster if step == "cancel" else hustler
    for reason in ("x" * 201, "a\0b", 7):
        assert await side.cannot(task, step, {"reason": reason}) == (422, "VALIDATION_ERROR")
    assert (await side.does(task, step, {"reason": "é" * 200}))["state"] == "CANCELLED"


async def test_evidence_has_words_and_at_most_five_photos(chain: Chain) -> None:
    """Photos that are not the caller's own unused uploads are HX022."""
    poster, hustler = await chain.pair()
    task = await chain.started(poster, hustler)
    await hustler.does(task, "dispute", REASON)
    ids = [str(uuid4()) for _ in range(6)]
    bodies: list[Any] = [
        {"text": ""},
        {"text": " "},
        {"text": "x" * 2_001},
        {"text": "a\0b"},
        {"photos": []},
        {"text": "x", "photos": ids},
        {"text": "x", "photos": ["7"]},
        {"text": "x", "photos": None},
    ]
    for body in bodies:
        assert await poster.cannot(task, "evidence", body) == (422, "VALIDATION_ERROR"), body
    unknown = {"text": "x", "photos": ids[:5]}
    assert await poster.cannot(task, "evidence", unknown) == (422, "HX022-UPLOAD")
    assert (await poster.does(task, "evidence", {"text": "x" * 2_000}))["evidence"]


async def test_a_proof_is_photos_or_a_code(chain: Chain) -> None:
    """1 to 5 photos, six digits, not both; nothing only where the task asks for no proof."""
    poster, hustler = await chain.pair()
    task = await chain.started(poster, hustler)
    code = (await poster.task(task))["completion_code"]
    ids = [str(uuid4()) for _ in range(6)]
    bodies: list[Any] = [
        {"photos": []},
        {"photos": ids},
        {"photos": ids[:1], "code": code},
        {"code": "12345"},
        {"code": "1234567"},
        {"code": "12345a"},
        {"code": 123_456},
    ]
    for body in bodies:
        assert await hustler.cannot(task, "proofs", body) == (422, "VALIDATION_ERROR"), body
    assert await hustler.cannot(task, "proofs", {"photos": ids[:5]}) == (422, "HX022-UPLOAD")
    assert await hustler.cannot(task, "proofs", {}) == (409, "HX301-INV-3")
    free = await chain.person("hustler")
    unproven = await chain.started(poster, free, requires_proof=False)
    assert (await free.does(unproven, "proofs"))["kind"] == "NONE"

"""Proofs turned down, disputes, and who ends up with which cent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.e2e.people import Chain, Person

PRICE = 4_001
WHY = {"reason": "It fell off again."}


async def dispute_of(person: Person, task: str) -> Any:
    """The task's dispute as this person sees it."""
    return await person.good("GET", f"/v1/tasks/{task}/dispute")


async def decide(chain: Chain, task: str, outcome: str, release: int | None = None) -> UUID:
    """An admin's decision; who made it."""
    admin = (await chain.person("admin")).id
    await chain.command(
        "select resolve_dispute($1, id, $2, $3, 'Both were heard.') from disputes"
        " where task_id = $4",
        admin,
        outcome,
        release,
        UUID(task),
    )
    return admin


@pytest.mark.parametrize("started", [True, False])
async def test_the_third_rejection_is_a_dispute(
    chain: Chain,
    started: bool,  # noqa: FBT001
) -> None:
    """Twice the task goes back to where it came from; the third time a person decides."""
    poster, hustler = await chain.pair()
    task = await (chain.started if started else chain.accepted)(poster, hustler)
    back_to = "WORKING" if started else "ACCEPTED"
    for left in (2, 1, 0):
        await chain.hands_in(poster, hustler, task)
        turned_down = await poster.does(task, "reject", {"reason": f"No, {left} left."})
        assert turned_down["state"] == (back_to if left else "DISPUTED")
        received = await hustler.hears("PROOF_REJECTED", task_id=task)
        assert (received["reason"], received["rejections_left"]) == (f"No, {left} left.", left)
    proofs = (await hustler.good("GET", f"/v1/tasks/{task}/proofs"))["items"]
    assert [(p["state"], p["reject_reason"]) for p in proofs] == [
        ("REJECTED", f"No, {left} left.") for left in (2, 1, 0)
    ]
    dispute = await dispute_of(hustler, task)
    assert (dispute["side"], dispute["state"], dispute["reason"]) == (
        "POSTER",
        "OPEN",
        "No, 0 left.",
    )
    assert (await poster.task(task))["escrow"]["state"] == "LOCKED_DISPUTE"
    for step, body in (("approve", {}), ("reject", WHY), ("cancel", {})):
        assert await poster.cannot(task, step, body) == (409, "HX010-TRANSITION")
    await decide(chain, task, "HUSTLER")
    await chain.settled({poster: -PRICE, hustler: 3_401})


@pytest.mark.parametrize("side", ["poster", "hustler"])
@pytest.mark.parametrize("state", ["ACCEPTED", "WORKING", "PROOF_SUBMITTED"])
async def test_either_side_disputes_once_somebody_is_at_work(
    chain: Chain, state: str, side: str
) -> None:
    """From the arrival on, not before it; the other side cannot open a second one."""
    poster, hustler = await chain.pair()
    who, other = (poster, hustler) if side == "poster" else (hustler, poster)
    reach = {"ACCEPTED": chain.accepted, "WORKING": chain.started}.get(state, chain.handed_in)
    task = await reach(poster, hustler)
    if state == "ACCEPTED":
        assert await who.cannot(task, "dispute", WHY) == (409, "HX010-TRANSITION")
        await hustler.comes(task)
    for _ in range(2):
        assert (await who.does(task, "dispute", WHY))["state"] == "DISPUTED"
    assert await other.cannot(task, "dispute", WHY) == (409, "HX010-TRANSITION")
    seen = await dispute_of(other, task)
    assert (seen["side"], seen["opened_by"]) == (side.upper(), str(who.id))


async def test_nothing_is_disputed_before_or_after_the_work(chain: Chain) -> None:
    """OPEN, MATCHING and every end are refused."""
    poster, hustler = await chain.pair()
    done = await chain.handed_in(poster, hustler)
    await poster.does(done, "approve")
    gone = (await chain.funded(poster))["id"]
    await poster.does(gone, "cancel")
    waiting = [(await chain.funded(poster, mode))["id"] for mode in ("STANDARD", "LIVE")]
    for task in (done, gone, *waiting):
        assert await poster.cannot(task, "dispute", WHY) == (409, "HX010-TRANSITION")
    assert await hustler.cannot(done, "dispute", WHY) == (409, "HX010-TRANSITION")


async def test_who_turned_a_proof_down_may_dispute_before_an_arrival(chain: Chain) -> None:
    """A rejected task that was never started is disputed from ACCEPTED."""
    poster, hustler = await chain.pair()
    task = await chain.accepted(poster, hustler)
    await chain.hands_in(poster, hustler, task)
    await poster.does(task, "reject", WHY)
    assert (await hustler.does(task, "dispute", WHY))["state"] == "DISPUTED"


@pytest.mark.parametrize(
    ("outcome", "release", "poster_has", "hustler_has"),
    [
        ("HUSTLER", None, -PRICE, 3_401),
        ("POSTER", None, 0, 0),
        ("SPLIT", 2_000, -2_000, 1_700),
        ("SPLIT", 1_333, -1_333, 1_134),
        ("SPLIT", 1, -1, 1),
        ("SPLIT", PRICE - 1, -PRICE + 1, 3_400),
    ],
)
async def test_a_decision_moves_every_cent(
    chain: Chain,
    outcome: str,
    release: int | None,
    poster_has: int,
    hustler_has: int,
) -> None:
    """Both sides hear the end, and only who gets money hears of money."""
    task_state, escrow_state = {
        "HUSTLER": ("COMPLETED", "RELEASED"),
        "POSTER": ("CANCELLED", "REFUNDED"),
        "SPLIT": ("COMPLETED", "REFUND_PARTIAL"),
    }[outcome]
    poster, hustler = await chain.pair()
    task = await chain.handed_in(poster, hustler)
    await poster.does(task, "dispute", WHY)
    await chain.settled({poster: -PRICE, hustler: 0})
    admin = await decide(chain, task, outcome, release)
    for side in (poster, hustler):
        await side.hears("TASK_STATUS_UPDATE", task_id=task, state=task_state)
        if hustler_has:
            await side.hears("PAYMENT_CAPTURED", task_id=task)
        else:
            await side.hears("JOB_CANCELLED", task_id=task, reason="DISPUTE_FOR_POSTER")
    if poster_has > -PRICE:
        await poster.hears("PAYMENT_REFUNDED", task_id=task, amount_cents=PRICE + poster_has)
    await chain.settled({poster: poster_has, hustler: hustler_has})
    seen = await hustler.task(task)
    assert (seen["state"], seen["escrow"]["state"]) == (task_state, escrow_state)
    assert (await chain.history(hustler, task))[-1] == (
        "DISPUTED",
        task_state,
        str(admin),
        "Both were heard.",
    )
    dispute = await dispute_of(hustler, task)
    assert (dispute["state"], dispute["outcome"]) == ("RESOLVED", outcome)
    assert dispute["release_cents"] + dispute["refund_cents"] == PRICE
    late = await poster.cannot(task, "evidence", {"text": "One more thing."})
    assert late == (409, "HX010-DISPUTE-TRANSITION")


async def test_both_sides_are_heard_in_a_dispute(chain: Chain) -> None:
    """Evidence of either side is seen by both, in its order; strangers see nothing."""
    poster, hustler = await chain.pair()
    stranger = await chain.person("dual")
    task = await chain.started(poster, hustler)
    assert await poster.cannot(task, "evidence", {"text": "Too early."}) == (404, "NOT_FOUND")
    assert await poster.refused("GET", f"/v1/tasks/{task}/dispute") == (404, "NOT_FOUND")
    await hustler.does(task, "dispute", WHY)
    await hustler.does(task, "evidence", {"text": "The hinge was broken before."})
    seen = await poster.does(task, "evidence", {"text": "It was not."})
    assert [(e["submitted_by"], e["text"]) for e in seen["evidence"]] == [
        (str(hustler.id), "The hinge was broken before."),
        (str(poster.id), "It was not."),
    ]
    assert await dispute_of(hustler, task) == seen
    assert await stranger.refused("GET", f"/v1/tasks/{task}/dispute") == (404, "NOT_FOUND")
    assert await stranger.cannot(task, "evidence", {"text": "Me too."}) == (404, "NOT_FOUND")
    for _ in range(19):
        await hustler.does(task, "evidence", {"text": "And again."})
    too_many = await hustler.cannot(task, "evidence", {"text": "And again."})
    assert too_many == (422, "VALIDATION_ERROR")

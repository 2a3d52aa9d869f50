"""From the post to the payout, as both sides live it: exactly these messages, in this order."""

from __future__ import annotations

import pytest

from tests.e2e.people import AROUND_THE_CORNER_MILES, Chain, Hears, near
from tests.engine.photos.pictures import jpeg

POSTERS = [
    "TASK_STATUS_UPDATE ACCEPTED",
    "JOB_ASSIGNED",
    "TASK_STATUS_UPDATE ACCEPTED",
    "TASK_STATUS_UPDATE WORKING",
    "JOB_STARTED",
    "TASK_STATUS_UPDATE PROOF_SUBMITTED",
    "JOB_COMPLETED",
    "TASK_STATUS_UPDATE WORKING",
    "TASK_STATUS_UPDATE PROOF_SUBMITTED",
    "JOB_COMPLETED",
    "TASK_STATUS_UPDATE COMPLETED",
    "PAYMENT_CAPTURED",
]
LIVE_POSTERS = [
    "LIVE_BROADCAST_UPDATE ACTIVE",
    *POSTERS[:2],
    "LIVE_BROADCAST_UPDATE ACCEPTED",
    *POSTERS[2:],
]
HUSTLERS = [
    *POSTERS[:7],
    "PROOF_REJECTED 2",
    *POSTERS[7:-1],
    "XP_AWARDED",
    "BADGE_UNLOCKED FIRST_TASK",
    "PAYMENT_CAPTURED",
]
LIVE_HUSTLERS = [*HUSTLERS[:-2], "BADGE_UNLOCKED FIRST_LIVE_TASK", *HUSTLERS[-2:]]


@pytest.mark.parametrize("hears", ["SOCKET", "POLL"])
@pytest.mark.parametrize("mode", ["LIVE", "STANDARD"])
async def test_a_task_goes_from_the_post_to_the_payout(
    chain: Chain, mode: str, hears: Hears
) -> None:
    """Both sides learn every step from their messages alone; one proof is turned down."""
    async with chain.sides(hears) as (poster, hustler):
        task = await chain.posted(poster, mode, min_photos=1)
        about = {"task_id": task["id"]}
        if mode == "LIVE":
            await hustler.live_at(near(task["location"], AROUND_THE_CORNER_MILES))
        await poster.does(task["id"], "fund")
        await hustler.takes(task)
        assigned = await poster.hears("JOB_ASSIGNED", **about)
        assert assigned["hustler_id"] == str(hustler.id)
        assert "start_code" not in await hustler.hears("JOB_ASSIGNED", **about)
        await hustler.comes(task["id"])
        await poster.hears("TASK_STATUS_UPDATE", state="ACCEPTED", **about)
        await hustler.does(task["id"], "start", {"code": assigned["start_code"]})
        await poster.hears("JOB_STARTED", **about)
        for turned_down in (True, False):
            if turned_down:
                photo = await hustler.uploads(jpeg())
                await hustler.does(task["id"], "proofs", {"photos": [photo]})
            else:
                await chain.hands_in(poster, hustler, task["id"])
            await poster.hears("JOB_COMPLETED", **about)
            if turned_down:
                assert await poster.looks_at(photo) == "image/jpeg"
                await poster.does(task["id"], "reject", {"reason": "It still squeaks."})
                heard = await hustler.hears("PROOF_REJECTED", **about)
                assert (heard["reason"], heard["rejections_left"]) == ("It still squeaks.", 2)
        await poster.does(task["id"], "approve")
        for side in (poster, hustler):
            assert (await side.hears("PAYMENT_CAPTURED", **about))["status"] == "PAID"

        assert poster.labels() == (LIVE_POSTERS if mode == "LIVE" else POSTERS)
        assert hustler.labels() == (LIVE_HUSTLERS if mode == "LIVE" else HUSTLERS)
        await chain.settled({poster: -4_001, hustler: 3_401})
        me, them = str(poster.id), str(hustler.id)
        first = "MATCHING" if mode == "LIVE" else "OPEN"
        assert await chain.history(hustler, task["id"]) == [
            (None, first, me, None),
            (first, "ACCEPTED", them, None),
            ("ACCEPTED", "WORKING", them, None),
            ("WORKING", "PROOF_SUBMITTED", them, None),
            ("PROOF_SUBMITTED", "WORKING", me, "It still squeaks."),
            ("WORKING", "PROOF_SUBMITTED", them, None),
            ("PROOF_SUBMITTED", "COMPLETED", me, None),
        ]
        assert (await poster.task(task["id"]))["escrow"]["state"] == "RELEASED"
        proofs = (await hustler.good("GET", f"/v1/tasks/{task['id']}/proofs"))["items"]
        assert [(p["kind"], p["state"]) for p in proofs] == [
            ("PHOTOS", "REJECTED"),
            ("CODE", "ACCEPTED"),
        ]
        # 40.01 × a streak of one day, and × 1.25 for LIVE
        xp = 52 if mode == "LIVE" else 42
        awarded = next(e["data"] for e in hustler.received if e["type"] == "XP_AWARDED")
        assert (awarded["task_id"], awarded["xp"], awarded["total_xp"]) == (task["id"], xp, xp)
        assert (await hustler.good("GET", "/v1/me"))["total_xp"] == xp

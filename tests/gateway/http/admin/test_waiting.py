"""What the admin queue shows: counts, ages, pages, and every way in which a task can be stuck."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from engine.api.admin import Admin
from engine.kernel.ids import ItemId
from tests.gateway.http.admin.traffic import WHY, Traffic
from tests.support.rest import Person


async def working_stale(scenes: Traffic) -> object:
    """A day and a bit without a proof."""
    task, hustler = await scenes.accepted()
    await scenes.start(task, hustler)
    await scenes.market.advance("25 hours")
    return task


async def arrived_idle(scenes: Traffic) -> object:
    """At the door for a day."""
    task, hustler = await scenes.accepted()
    await scenes.market.arrive(hustler, task)
    await scenes.market.advance("25 hours")
    return task


async def not_arrived(scenes: Traffic) -> object:
    """Expected minutes after the accept."""
    task, _ = await scenes.market.accepted("LIVE")
    await scenes.market.advance("3 hours")
    return task


async def unreviewed(scenes: Traffic) -> object:
    """The timer that should have approved it did not fire."""
    task, _ = await scenes.submitted()
    await scenes.market.advance("50 hours")
    return task


async def no_choice(scenes: Traffic) -> object:
    """The timer that should have cancelled it did not fire."""
    task = await scenes.scene_no_choice_yet()
    await scenes.market.advance("25 hours")
    return task


async def past_deadline(scenes: Traffic) -> object:
    """The timer that should have expired it did not fire."""
    ahead = await scenes.market.app.fetchval("select hx_clock() + interval '1 hour'")
    task = await scenes.market.funded("STANDARD", deadline=ahead)
    await scenes.market.advance("2 hours")
    return task


async def holder_suspended(scenes: Traffic) -> object:
    """Whoever holds it cannot sign in."""
    task, hustler = await scenes.accepted()
    await scenes.admin_api.people.suspend(scenes.admin, hustler, WHY)
    return task


async def money_not_moved(scenes: Traffic) -> object:
    """Its settlement waits for an hour."""
    task, _ = await scenes.submitted()
    await scenes.market.commands.proofs.approve(await scenes.market.poster_of(task), task)
    await scenes.market.advance("61 minutes")
    return task


STUCK: list[Callable[[Traffic], Awaitable[object]]] = [
    no_choice, working_stale, arrived_idle, not_arrived, unreviewed, past_deadline,
    holder_suspended, money_not_moved,
]  # fmt: skip


async def test_a_stuck_task_says_why_and_since_when(own_traffic: Traffic) -> None:
    """Each kind by its own name, the longest stuck first; a task at work is not among them."""
    admin_queries = Admin.open(own_traffic.market.execution, own_traffic.market.store)
    await own_traffic.scene_accepted()
    await own_traffic.scene_matching()
    await own_traffic.scene_submitted()
    assert await admin_queries.money.stuck(None, None, 10) == ([], None)
    for make in STUCK:
        task = await make(own_traffic)
        found, _ = await admin_queries.money.stuck(None, None, 50)
        kinds = {item.task_id: item.kind for item in found}
        assert kinds[task] == make.__name__.upper()  # type: ignore[index]
        since = [item.since for item in found]
        assert since == sorted(since)
        one_kind, _ = await admin_queries.money.stuck(kinds[task], None, 50)  # type: ignore[index]
        assert {item.kind for item in one_kind} == {make.__name__.upper()}

    waiting = {
        (w.subject, w.kind): w
        for w in (await admin_queries.queue.overview()).waiting
        if w.subject == "STUCK_TASK"
    }
    assert {kind for _, kind in waiting} >= {make.__name__.upper() for make in STUCK}
    assert sum(w.count for w in waiting.values()) == len(
        (await admin_queries.money.stuck(None, None, 50))[0]
    )
    oldest = min(item.since for item in (await admin_queries.money.stuck(None, None, 50))[0])
    assert min(w.oldest_at for w in waiting.values()) == oldest
    assert max(w.oldest_age_s for w in waiting.values()) > 100 * 3600


async def test_an_empty_admin_queue_is_empty(own_traffic: Traffic) -> None:
    """Nothing waits where nothing happened; disputes count, and past their deadline twice."""
    admin_queries = Admin.open(own_traffic.market.execution, own_traffic.market.store)
    assert (await admin_queries.queue.overview()).waiting == []
    await own_traffic.disputed()
    assert [
        (w.subject, w.kind, w.count) for w in (await admin_queries.queue.overview()).waiting
    ] == [("DISPUTE", "OPEN", 1)]
    await own_traffic.market.advance("73 hours")
    assert [w.subject for w in (await admin_queries.queue.overview()).waiting] == [
        "DISPUTE",
        "DISPUTE_PAST_DUE",
    ]


async def test_a_page_goes_on_where_the_one_before_it_ended(admin: Person, scenes: Traffic) -> None:
    """Items, acts and settlements: every row once, in order, by signed cursors."""
    for _ in range(3):
        await scenes.item()
        await scenes.admin_api.queue.close(scenes.admin, await scenes.item(), WHY)
        await scenes.scene_completed()
    for path in ("items?state=OPEN", "items?state=CLOSED", "actions", "settlements?state=DONE"):
        joined = "&" if "?" in path else "?"
        whole = await admin.good("GET", f"/v1/admin/{path}{joined}limit=3")
        ids = [item["id"] for item in whole["items"]]
        assert len(set(ids)) == 3
        seen: list[str] = []
        cursor = ""
        for _ in range(3):
            page = await admin.good("GET", f"/v1/admin/{path}{joined}limit=1{cursor}")
            seen += [item["id"] for item in page["items"]]
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == ids
    answer = await admin.call("GET", "/v1/admin/items?cursor=bm90b3Vycw")
    assert answer.refusal()[:2] == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "query",
    [
        "items?kind=lower", "items?state=ANY", "settlements?state=LOST", "chargebacks?state=NONE",
        "disputes?state=ALL", "tasks/stuck?kind=ALL", "actions?target_type=User", "items?limit=0",
        "items?page=2",
    ],
)  # fmt: skip
async def test_a_query_that_means_nothing_is_refused(admin: Person, query: str) -> None:
    """Strict types, as everywhere."""
    answer = await admin.call("GET", f"/v1/admin/{query}")
    assert answer.refusal()[:2] == (422, "VALIDATION_ERROR")


async def test_a_closed_item_says_by_whom_and_stays_closed(admin: Person, scenes: Traffic) -> None:
    """Closing it twice changes nothing, and both acts are on record."""
    item = ItemId(await scenes.item())
    path = f"/v1/admin/items/{item}/close"
    first = await admin.good("POST", path, {"reason": WHY})
    assert first["closed_by"] == str(admin.user_id)
    again = await admin.good("POST", path, {"reason": "Again."})
    assert again == first
    acts = await admin.good("GET", f"/v1/admin/actions?target_type=admin_item&target_id={item}")
    assert [act["reason"] for act in acts["items"]] == ["Again.", WHY]
    assert acts["items"][0]["metadata"]["kind"] == "QUESTION"


async def test_chargebacks_are_listed_with_their_task(admin: Person, scenes: Traffic) -> None:
    """By state, the newest first."""
    task, hustler = await scenes.accepted()
    await scenes.start(task, hustler)
    await scenes.chargeback(task, "OPENED")
    found = await admin.good("GET", "/v1/admin/chargebacks?state=OPEN")
    assert found["items"][0]["task_id"] == str(task)
    assert found["items"][0]["escrow_state"] == "LOCKED_DISPUTE"

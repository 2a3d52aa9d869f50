"""Over REST: no command of the admin API is for an admin who has a stake in what it is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from tests.gateway.http.admin.test_commands import COMMANDS, Said
from tests.gateway.http.admin.traffic import WHY, Traffic
from tests.support.rest import People, Person

OWN_CASE = (403, "HX503", "OWN-CASE")
SIDES = """
select array[t.poster_id, t.assigned_hustler_id]
from tasks as t
where t.id::text = $1
    or t.id in (select d.task_id from disputes as d where d.id::text = $1)
    or t.id in (select x.task_id from xp_ledger as x where x.id::text = $1)
    or t.id in (
        select e.task_id from escrows as e inner join settlements as s on s.escrow_id = e.id
        where s.id::text = $1
    )
    or t.id in (
        select e.task_id from escrows as e inner join admin_items as i
            on i.subject = e.id::text
        where i.id::text = $1
    )
union all
select array[u.id] from users as u where u.id::text = $1
union all
select array[b.user_id] from badges as b where b.id::text = $1
"""


async def close_item(traffic: Traffic) -> Said:
    """An item about somebody's money."""
    task, _ = await traffic.accepted()
    await traffic.market.app.execute(
        "select open_item('QUESTION', e.id::text) from escrows as e where e.task_id = $1", task
    )
    item = await traffic.market.app.fetchval(
        "select i.id from admin_items as i inner join escrows as e on e.id::text = i.subject"
        " where e.task_id = $1",
        task,
    )
    return f"items/{item}/close", {}, "CLOSE_ITEM", "admin_item"


async def become_admin(traffic: Traffic, people: People, user: UUID) -> Person:
    """This account, an admin's from now on, with the token of one."""
    admin = await people.person("admin")
    owner = traffic.market.owner
    issuer, subject = await owner.fetchrow(
        "select issuer, subject from users where id = $1", admin.user_id
    )
    await owner.execute("update users set subject = id::text where id = $1", admin.user_id)
    await owner.execute(
        "update users set issuer = $2, subject = $3, role = 'admin' where id = $1",
        user,
        issuer,
        subject,
    )
    return Person(admin.client, user, admin.token)


OWN = [close_item, *(command for command in COMMANDS if command.__name__ != "close_item")]


@pytest.mark.parametrize("command", OWN)
async def test_a_command_is_not_for_those_whom_it_is_about(
    people: People, scenes: Traffic, command: Callable[[Traffic], Awaitable[Said]]
) -> None:
    """HX503 for poster, hustler and the account itself, though they became admins; no act is left."""
    path, body, *_ = await command(scenes)
    target = path.split("/")[1]
    sides = await scenes.market.owner.fetchval(SIDES, target)
    acts = "select count(*) from admin_actions where target_id = $1 and reason = $2"
    for side in sides:
        admin = await become_admin(scenes, people, side)
        answer = await admin.call("POST", f"/v1/admin/{path}", body | {"reason": "My own."})
        assert answer.refusal() == OWN_CASE
    assert await scenes.market.app.fetchval(acts, target, "My own.") == 0


async def test_who_opened_a_dispute_leaves_it_to_another(
    admin: Person, people: People, scenes: Traffic
) -> None:
    """An admin who brought a stuck task into dispute neither decides it nor hands it on."""
    task, hustler = await scenes.accepted()
    await scenes.start(task, hustler)
    await admin.good("POST", f"/v1/admin/tasks/{task}/dispute", {"reason": WHY})
    path = f"/v1/admin/disputes/{await scenes.dispute_of(task)}"
    for step, body in (("escalate", {}), ("resolve", {"outcome": "POSTER"})):
        answer = await admin.call("POST", f"{path}/{step}", body | {"reason": WHY})
        assert answer.refusal() == OWN_CASE
    other = await people.person("admin")
    await other.good("POST", f"{path}/resolve", {"outcome": "POSTER", "reason": WHY})


async def test_an_admin_neither_posts_nor_works(admin: Person, people: People) -> None:
    """HX503 on both channels into a task."""
    task = await people.funded(await people.person("poster"), mode="STANDARD")
    post = {
        "mode": "STANDARD", "title": "t", "description": "d", "category": "moving",
        "price_cents": 4_000, "location": {"lat": 1, "lng": 1},
    }  # fmt: skip
    for path, body in (
        ("/v1/tasks", post),
        (f"/v1/tasks/{task['id']}/accept", {}),
        ("/v1/live", {"location": {"lat": 1, "lng": 1}}),
    ):
        assert (await admin.call("POST", path, body)).refusal() == (403, "HX503", "PERMISSION")

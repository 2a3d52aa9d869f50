"""Each term of a task, by name, through everything that reads or writes the terms."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec
import pytest

from engine.kernel.ids import TaskId
from engine.live.broadcast_plan import BroadcastPlan
from engine.tasks.draft import TaskDraft
from gateway.http.tasks import EditRequest, TaskLocation, changes
from tests.support.market import Market

Ends = Callable[[Market, TaskId], Awaitable[None]]

NO_TERMS: Final = {
    "id": "its name",
    "version": "counts the changes of the terms",
    "mode": "a successor may have another; never changes",
    "state": "its lifecycle",
    "poster_id": "whose it is; never changes",
    "assigned_hustler_id": "who holds it",
    "predecessor_id": "whom it follows",
    "cancel_reason": "how it ended",
    "created_at": "a mark",
    "updated_at": "a mark",
    "accepted_at": "a mark",
    "en_route_at": "a mark",
    "eta_at": "a mark",
    "arrived_at": "a mark",
    "started_at": "a mark",
    "completed_at": "a mark",
    "rejections": "counts its proofs",
}
"""Columns of `tasks` that are no terms, with what they are instead."""

ATTRIBUTES: Final = """
select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute as a
where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""

BASE: Final[dict[str, Any]] = {
    "mode": "LIVE",
    "title": "Hang a door",
    "description": "It came off.",
    "category": "handyman",
    "price": 4_000,
    "location_lat": 37.77,
    "location_lng": -122.42,
    "location_address": "1 Main St",
    "place_lat": 37.771,
    "place_lng": -122.421,
    "deadline": None,
    "requires_proof": True,
    "min_photos": 1,
    "estimated_minutes": 30,
    "required_trade": "joiner",
    "required_trust_tier": 1,
    "insurance_required": False,
    "background_check_required": False,
    "partition": 7,
}
"""A draft that says every term."""


class Term(NamedTuple):
    """One attribute of `task_terms`, and a valid value that is not the base's."""

    name: str
    other: Any

    @property
    def values(self) -> dict[str, Any]:
        """The change; a partition is the place's, and moves with it alone."""
        moved = {"place_lat": 39.5} if self.name == "partition" else {}
        return {self.name: self.other, **moved}


async def columns(market: Market, relation: str) -> dict[str, str]:
    """Type by name of the columns of a table or the attributes of a composite type."""
    return dict(await market.owner.fetch(ATTRIBUTES, relation))


async def terms(market: Market) -> list[Term]:
    """All of them, as the database lists them."""
    soon = await market.app.fetchval("select to_jsonb(hx_clock() + interval '3 hours') #>> '{}'")
    return [
        Term(name, _other(kind, name, soon))
        for name, kind in (await columns(market, "task_terms")).items()
    ]


def _other(kind: str, name: str, soon: str) -> Any:
    match kind:
        case "text":
            return f"another {name}"
        case "boolean":
            return not BASE[name]
        case "timestamp with time zone":
            return soon
        case _:
            return BASE[name] + 1


async def create(market: Market, *changed: Term) -> TaskId:
    """A task of somebody new: the base, with these terms changed."""
    draft = json.dumps({**BASE, **merged(changed)})
    poster = await market.user("poster")
    made = await market.app.fetchval("select create_task($1, $2)", poster, draft)
    return TaskId(UUID(json.loads(made)["task_id"]))


async def terms_of(market: Market, task: TaskId) -> dict[str, Any]:
    """What its row says in every column that is a term."""
    row = await market.app.fetchval("select to_jsonb(t) from tasks as t where id = $1", task)
    return {name: value for name, value in json.loads(row).items() if name not in NO_TERMS}


def merged(changed: Iterable[Term]) -> dict[str, Any]:
    """All their values, the later ones winning."""
    return {name: value for term in changed for name, value in term.values.items()}


def expected(*changed: Term) -> dict[str, Any]:
    """The base's terms with these changed."""
    same = {name: value for name, value in BASE.items() if name not in NO_TERMS}
    return {**same, **merged(changed)}


async def change_by_hand(market: Market, task: TaskId, term: Term) -> int:
    """Updates one column of the row; the version afterwards."""
    changes = ", ".join(f"{name} = (jsonb_populate_record(t, $2)).{name}" for name in term.values)
    version: int = await market.app.fetchval(
        f"update tasks as t set {changes} where id = $1 returning version",
        task,
        json.dumps(term.values),
    )
    return version


async def switch(market: Market, task: TaskId) -> None:
    """Nobody accepts it, and its poster lists it as a STANDARD task."""
    await market.owner.execute(
        "update live_broadcasts set state = 'EXPIRED', ended_at = hx_clock() where task_id = $1",
        task,
    )
    await market.app.fetchval(
        "select choose_after_broadcast($1, $2, 'SWITCH_TO_STANDARD', null)",
        await market.poster_of(task),
        task,
    )


async def release(market: Market, task: TaskId) -> None:
    """Somebody who may do everything accepts it and gives it back."""
    hustler = await market.offered(task)
    await market.owner.execute(
        "update hustler_profiles set verified_trades = '{joiner,another required_trade}',"
        " insurance_valid = true, background_check_valid = true where user_id = $1",
        hustler,
    )
    await market.app.fetchval("select accept_task($1, $2, null)", hustler, task)
    await market.app.fetchval(
        "select release_task($1, $2, null, $3)",
        hustler,
        task,
        msgspec.json.encode(BroadcastPlan()).decode(),
    )


async def test_every_column_of_a_task_is_a_term_or_said_to_be_none(market: Market) -> None:
    """Whoever adds a column decides: in `task_terms`, or here."""
    table, composite = await columns(market, "tasks"), await columns(market, "task_terms")
    assert composite == {name: kind for name, kind in table.items() if name not in NO_TERMS}
    assert table.keys() >= NO_TERMS.keys()


async def test_a_draft_and_an_edit_reach_every_term(market: Market) -> None:
    """And nothing else, but for the mode of a draft."""
    names = (await columns(market, "task_terms")).keys()
    assert {field.encode_name for field in msgspec.structs.fields(TaskDraft)} == names | {"mode"}
    whole: dict[str, Any] = dict.fromkeys(EditRequest.__struct_fields__)
    whole["location"] = TaskLocation(37.77, -122.42)
    assert changes(EditRequest(**whole)).keys() == names


async def test_each_term_of_a_draft_is_written(market: Market) -> None:
    """Into its own column."""
    for term in await terms(market):
        assert await terms_of(market, await create(market, term)) == expected(term)


async def test_each_term_is_edited_and_counts_a_version(market: Market) -> None:
    """The others stay as they are; the same value again counts nothing."""
    task = await create(market)
    poster = await market.poster_of(task)
    edit = "select edit_task($1, $2, $3, $4)"
    changed: list[Term] = []
    for version, term in enumerate(await terms(market), 1):
        changed.append(term)
        await market.app.fetchval(edit, poster, task, json.dumps(term.values), version)
        assert await terms_of(market, task) == expected(*changed)
        assert await change_by_hand(market, task, term) == version + 1, term


async def test_each_term_changed_by_hand_counts_a_version(market: Market) -> None:
    """Whichever statement it was."""
    task = await create(market)
    for version, term in enumerate(await terms(market), 1):
        assert await change_by_hand(market, task, term) == version + 1, term


async def test_each_term_is_fixed_once_the_work_has_begun(market: Market) -> None:
    """HX019, by hand too."""
    task, _ = await market.working()
    before = await terms_of(market, task)
    for term in await terms(market):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await change_by_hand(market, task, term)
        assert caught.value.sqlstate == "HX019", term
    assert await terms_of(market, task) == before


@pytest.mark.parametrize("ends", [switch, release])
async def test_a_successor_has_each_term_of_its_predecessor(market: Market, ends: Ends) -> None:
    """So that it is offered to those who may do the work, and to nobody else."""
    for term in await terms(market):
        task = await create(market, term)
        await market.commands.money.fund(await market.poster_of(task), task)
        await ends(market, task)
        successor = await market.app.fetchval(
            "select id from tasks where predecessor_id = $1", task
        )
        assert await terms_of(market, successor) == expected(term)

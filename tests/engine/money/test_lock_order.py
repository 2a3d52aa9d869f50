"""One lock order (design: tasks → broadcast → escrow → live status → users → counters).

Somebody else holds one of those rows. The command that runs into it waits, and what it holds by then
must stand before that row in the order: two commands that keep it never wait for each other in a
circle.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import NamedTuple

import asyncpg
import pytest

from tests.engine.money.actions import ACTIONS
from tests.engine.money.raw_commands import Lines, open_lines
from tests.engine.money.setup import Case, Ledger, Setup, casts
from tests.support.servers import TestDatabase

ORDER = {
    "tasks": "id = $1",
    "live_broadcasts": "task_id = $1",
    "escrows": "task_id = $1 and is_current",
    "live_status": "user_id = $2",
    "users": "id = $2",
    "user_counters": "user_id in ($2, $3)",
}
RANK = {table: rank for rank, table in enumerate(ORDER)}


class Run(NamedTuple):
    """An action at a point of the task's life, while somebody holds a row of a table."""

    action: str
    point: str
    held: str


RUNS = [
    Run(name, point, table)
    for name, action in ACTIONS.items()
    for point in sorted(action.legal_at)
    for table in ORDER
]


async def rows(connection: asyncpg.Connection, table: str, case: Case, lock: str) -> int:
    """How many rows of a table about this case can be had, with such a lock."""
    # every parameter is named, so that Postgres knows the type of each
    known = "$1::uuid is not null and $2::uuid is not null and $3::uuid is not null"
    found = await connection.fetch(
        f"select from {table} where {ORDER[table]} and {known} {lock}",
        case.task,
        case.hustler,
        case.poster,
    )
    return len(found)


async def waits(watcher: asyncpg.Connection, line: asyncpg.Connection) -> bool:
    """Whether this line waits for a lock."""
    pid = line.get_server_pid()
    blocked: bool = await watcher.fetchval("select cardinality(pg_blocking_pids($1)) > 0", pid)
    return blocked


async def held_while_waiting(lines: Lines, outside: Lines, run: Run, case: Case) -> set[str]:
    """The tables of which the command holds rows when it runs into the held one."""
    async with lines.line() as line, outside.line() as holder, outside.line() as watcher:
        holding = holder.transaction()
        await holding.start()
        await rows(holder, run.held, case, "for no key update")
        acting = asyncio.create_task(ACTIONS[run.action].act(line, case))
        while not acting.done() and not await waits(watcher, line):
            await asyncio.wait({acting}, timeout=0.001)
        held = set()
        if not acting.done():
            for table in ORDER:
                free = await rows(watcher, table, case, "for no key update skip locked")
                if table != run.held and free < await rows(watcher, table, case, ""):
                    held.add(table)
        await holding.rollback()
        await acting
        return held


async def keep_the_order(
    lines: Lines, outside: Lines, owner: asyncpg.Connection, runs: list[Run]
) -> None:
    """Every run, several at a time."""
    waiting = list(zip(runs, await casts(owner, len(runs)), strict=True))
    wrong: dict[Run, set[str]] = {}

    async def lane() -> None:
        while waiting:
            run, cast = waiting.pop()
            async with lines.line() as app:
                case = await Setup(app, Ledger()).bring(cast, run.point)
            held = await held_while_waiting(lines, outside, run, case)
            late = {table for table in held if RANK[table] > RANK[run.held]}
            if late:
                wrong[run] = late

    await asyncio.gather(*(lane() for _ in range(4)))
    assert wrong == {}


@pytest.fixture
async def outside(fresh_database: TestDatabase) -> AsyncIterator[Lines]:
    """Two connections of the owner for each lane: who holds, and who looks."""
    async with open_lines(fresh_database.owner_dsn, 8) as outside:
        yield outside


async def test_a_sample_of_commands_holds_nothing_late_while_it_waits(
    lines: Lines, outside: Lines, owner: asyncpg.Connection
) -> None:
    """Every action once, at some point, running into some row."""
    chance = random.Random(11)
    sample = {run.action: run for run in chance.sample(RUNS, len(RUNS))}
    await keep_the_order(lines, outside, owner, list(sample.values()))


@pytest.mark.long
async def test_no_command_holds_anything_late_while_it_waits(
    lines: Lines, outside: Lines, owner: asyncpg.Connection
) -> None:
    """Every action at every point where it is legal, running into every row."""
    await keep_the_order(lines, outside, owner, RUNS)

"""Any two of everything that can be asked about a task, at once: no deadlock, nothing half done."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.engine.money.actions import ACTIONS
from tests.engine.money.books import broken
from tests.engine.money.raw_commands import Lines, open_lines
from tests.engine.money.setup import LIVE_ONLY, POINTS, Case, Cast, Ledger, Setup, casts
from tests.support.servers import TestDatabase

LANES = 8
"""Pairs at once; a connection for setting up and two for the pair."""

DAWDLE = """
create function dawdle() returns trigger language plpgsql as $$
begin
    perform pg_sleep(random() * 0.003);
    return null;
end;
$$;
"""
WRITTEN = (
    "tasks", "escrows", "settlements", "proofs", "disputes", "price_proposals", "task_codes",
    "offers", "live_broadcasts", "live_status", "live_sessions", "timers", "chargebacks",
    "admin_items", "admin_actions", "payout_accounts", "users", "user_counters",
)  # fmt: skip


async def dawdling(owner: asyncpg.Connection) -> None:
    """Slow lines pause after every row, so that two commands meet between any two of theirs."""
    await owner.execute(DAWDLE)
    for table in WRITTEN:
        await owner.execute(
            f"create trigger dawdle after insert or update or delete on {table}"
            " for each row when (current_setting('test.dawdle', true) = 'on')"
            " execute function dawdle()"
        )


@pytest.fixture
async def slow(fresh_database: TestDatabase) -> AsyncIterator[Lines]:
    """Two slow connections for each lane."""
    async with open_lines(fresh_database.dsn, 2 * LANES, {"test.dawdle": "on"}) as slow:
        yield slow


Pair = tuple[str, str, str]
"""Two actions, and the point of the task's life at which they meet."""


def pairs(chance: random.Random) -> list[Pair]:
    """Every ordered pair, each at one of the points where at least one of the two is legal."""
    met = []
    for first, second in itertools.product(ACTIONS, repeat=2):
        points = sorted(ACTIONS[first].legal_at | ACTIONS[second].legal_at)
        if points:
            met.append((first, second, chance.choice(points)))
    chance.shuffle(met)
    return met


class Ring:
    """Lets pairs meet, several at a time."""

    def __init__(
        self, lines: Lines, slow: Lines, owner: asyncpg.Connection, chance: random.Random
    ) -> None:
        self._lines = lines
        self._slow = slow
        self._owner = owner
        self._chance = chance
        self._payments = Ledger()
        self.refusals: Counter[tuple[str, str]] = Counter()

    async def meet_all(self, met: list[Pair], *, apart: bool = False) -> None:
        """Every pair; `apart` lets the second act on another task of the same two people."""
        waiting = list(zip(met, await casts(self._owner, len(met)), strict=True))

        async def lane() -> None:
            while waiting:
                pair, cast = waiting.pop()
                await self._meet(pair, cast, apart=apart)

        async with asyncio.TaskGroup() as group:
            for _ in range(LANES):
                group.create_task(lane())

    async def _meet(self, pair: Pair, cast: Cast, *, apart: bool) -> None:
        first, second, point = pair
        live = point in LIVE_ONLY or self._chance.random() < 0.6
        async with self._lines.line() as app:
            setup = Setup(app, self._payments)
            other = await setup.bring(cast, self._elsewhere(), "STANDARD") if apart else None
            case = await setup.bring(cast, point, "LIVE" if live else "STANDARD")
        async with self._slow.line() as one, self._slow.line() as two:
            try:
                await asyncio.gather(
                    self._act(first, one, case), self._act(second, two, other or case)
                )
            except asyncpg.PostgresError as error:
                raise AssertionError(f"{first} beside {second} at {point}: {error!r}") from error

    def _elsewhere(self) -> str:
        # who works on one task takes no other
        free = [p for p in POINTS if p not in LIVE_ONLY | {"WORKING", "SUBMITTED"}]
        return self._chance.choice(free)

    async def _act(self, name: str, line: asyncpg.Connection, case: Case) -> None:
        answer = await ACTIONS[name].act(line, case)
        if answer.refusal is not None:
            self.refusals[answer.refusal] += 1


async def test_a_sample_of_all_pairs_meets_without_deadlock_or_surprise(
    lines: Lines, slow: Lines, owner: asyncpg.Connection
) -> None:
    """Each answers or refuses by a registered code, and the books add up afterwards."""
    chance = random.Random(20_27)
    ring = Ring(lines, slow, owner, chance)
    await dawdling(owner)

    await ring.meet_all(pairs(chance)[:240])
    await ring.meet_all(pairs(chance)[:60], apart=True)

    assert await broken(owner) == {}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
async def test_all_pairs_meet_without_deadlock_or_surprise(
    lines: Lines, slow: Lines, owner: asyncpg.Connection, seed: int
) -> None:
    """As the sample: every ordered pair, at another point with each seed, on one task and on two."""
    chance = random.Random(seed)
    ring = Ring(lines, slow, owner, chance)
    await dawdling(owner)

    await ring.meet_all(pairs(chance))
    await ring.meet_all(pairs(chance)[:1_500], apart=True)

    assert await broken(owner) == {}


@pytest.mark.long
@pytest.mark.parametrize("name", ACTIONS)
async def test_what_the_table_calls_legal_is_done_when_asked_alone(
    lines: Lines, owner: asyncpg.Connection, name: str
) -> None:
    """The table of actions is true, so that each pair has one that could succeed."""
    action = ACTIONS[name]
    async with lines.line() as line:
        setup = Setup(line, Ledger())
        for point in sorted(action.legal_at):
            cast = (await casts(owner, 1))[0]
            case = await setup.bring(cast, point)
            (await action.act(line, case)).done()

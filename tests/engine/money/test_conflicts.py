"""Conflicting commands on one escrow at once: one decides, the others are told, no cent is lost.

A command *wins* when it moves the task: its step stands in `task_transitions`. Of all commands that
find a task in the same state exactly one wins, because exactly one step leaves that state. What the
winner leads to may be moved on by another (reject → WORKING → dispute); the rest are refused, or
answer that what they wanted is so already.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg
import pytest

from engine.kernel.states import Mode
from engine.kernel.store import Store
from sql.database import Database
from tests.engine.money import clock
from tests.engine.money.actions import ACTIONS
from tests.engine.money.books import broken
from tests.engine.money.raw_commands import Answer, Lines, ask, provider_event
from tests.engine.money.setup import Case, Cast, Ledger, Setup, casts
from tests.support.market import settlement_worker
from tests.support.servers import TestDatabase

MINUTE = 60
LANES = 4
"""Tasks fought over at once; four connections each."""


class Fight(NamedTuple):
    """A point of a task's life and who rushes at it."""

    point: str
    contenders: Sequence[str]
    later_s: int = 0
    """How much time passes between the staging and the fight."""


FIGHTS = (
    Fight(
        "SUBMITTED",
        (
            "approve", "reject", "dispute by the poster", "dispute by the hustler", "release",
            "cancel", "REVIEW timer", "cancel by an admin", "dispute by an admin",
            "chargeback opened",
        ),
    ),
    Fight(
        "ARRIVED",
        (
            "start", "hand in the code", "dispute by the poster", "dispute by the hustler",
            "release", "cancel", "no-show", "cancel by an admin", "dispute by an admin",
            "propose by the poster", "chargeback opened",
        ),
    ),
    Fight(
        "WORKING",
        (
            "hand in the code", "hand in photos", "hand in nothing", "dispute by the poster",
            "dispute by the hustler", "dispute by an admin", "release", "cancel",
            "WORKING_STALE timer", "chargeback opened",
        ),
    ),
    Fight(
        "ACCEPTED",
        (
            "start", "arrive", "cancel", "no-show", "release", "cancel by an admin",
            "hand in the code", "DEADLINE timer", "chargeback opened",
        ),
        25 * MINUTE,
    ),
    Fight(
        "UNCHOSEN",
        (
            "switch to standard", "increase the price", "choose to cancel", "cancel",
            "cancel by an admin", "DEADLINE timer", "CHOICE timer", "accept", "chargeback opened",
        ),
        25 * MINUTE,
    ),
    Fight(
        "AGREED",
        (
            "book the funding", "start", "cancel", "release", "REPLACEMENT timer",
            "propose by the hustler", "chargeback opened",
        ),
    ),
    Fight(
        "DISPUTED",
        (
            "resolve for the hustler", "resolve for the poster", "resolve as a split",
            "evidence of the poster", "escalate", "DISPUTE_DUE timer", "cancel by an admin",
        ),
    ),
)  # fmt: skip


class Arena:
    """Stages fights and pays everybody afterwards."""

    def __init__(
        self, database: TestDatabase, lines: Lines, owner: asyncpg.Connection, seed: int
    ) -> None:
        self._database = database
        self._lines = lines
        self._owner = owner
        self._chance = random.Random(seed)
        self.payments = Ledger()
        self._behind: dict[UUID, int] = {}
        self.received: Counter[str] = Counter()
        self.winners: Counter[str] = Counter()

    async def setup(self, fight: Fight, count: int) -> list[Case]:
        """As many tasks, brought there on several lines."""
        waiting = await casts(self._owner, count)
        self.now = await self._owner.fetchval("select hx_clock()")
        staged: list[Case] = []

        async def lane() -> None:
            async with self._lines.line() as app:
                setup = Setup(app, self.payments)
                while waiting:
                    staged.append(await self._bring(setup, fight.point, waiting.pop()))

        await asyncio.gather(*(lane() for _ in range(LANES)))
        for row in await self._owner.fetch(
            "select task_id, count(*) as steps from task_transitions group by task_id"
        ):
            self._behind[row["task_id"]] = row["steps"]
        return staged

    async def _bring(self, setup: Setup, point: str, cast: Cast) -> Case:
        live = point == "UNCHOSEN" or self._chance.random() < 0.5
        mode: Mode = "LIVE" if live else "STANDARD"
        price = self._chance.randrange(1_500, 7_000)
        limited = self._chance.random() < 0.5
        deadline = self.now + timedelta(minutes=20) if limited else None
        return await setup.bring(cast, point, mode, price_cents=price, deadline=deadline)

    async def fight(self, fight: Fight, case: Case) -> None:
        """Four different contenders at once."""
        who = self._chance.sample(fight.contenders, 4)
        answers = await asyncio.gather(*(self._rush(name, case) for name in who))
        left = [row["from_state"] for row in await self._steps(case)]
        moved = [
            name for name, a in zip(who, answers, strict=True) if self._moved(name, a, case.task)
        ]
        # one step for each command that says so, and no state was left by two
        assert len(moved) == len(left) == len(set(left)), (who, answers, left)
        self.winners[moved[0] if len(moved) == 1 else "in a row" if moved else "nobody"] += 1

    async def _steps(self, case: Case) -> list[asyncpg.Record]:
        async with self._lines.line() as app:
            steps: list[asyncpg.Record] = await app.fetch(
                "select from_state from task_transitions where task_id = $1 order by id offset $2",
                case.task,
                self._behind[case.task],
            )
        return steps

    async def _rush(self, name: str, case: Case) -> Answer:
        async with self._lines.line() as app:
            answer = await ACTIONS[name].act(app, case)
        self.received[answer.refusal[0] if answer.refusal else "done"] += 1
        return answer

    @staticmethod
    def _moved(name: str, answer: Answer, task: UUID) -> bool:
        """Whether this answer tells that the task was moved; a chargeback may end its successor."""
        if name in {"arrive", "escalate"}:
            return False
        return answer.applied is not None and any(
            event.type == "TASK_STATUS_UPDATE" and event.data["task_id"] == str(task)
            for event in answer.applied.events
        )

    async def fight_all(self, fight: Fight, cases: list[Case]) -> None:
        """Every task, several at once."""
        waiting = list(cases)

        async def lane() -> None:
            while waiting:
                await self.fight(fight, waiting.pop())

        await asyncio.gather(*(lane() for _ in range(LANES)))

    async def end_everything(self) -> None:
        """Banks decide for the hustlers, admins decide, work is done, the rest is called off."""
        async with self._lines.line() as app:
            for payment in await app.fetch("select id, payment, amount from chargebacks"):
                fact = {
                    "kind": "CHARGEBACK_WON",
                    "reference": payment["id"],
                    "payment": payment["payment"],
                    "amount_cents": payment["amount"],
                }
                (await provider_event(app, f"won_{payment['id']}", fact)).done()
            while going := await app.fetch(GOING):
                for task in going:
                    await self._end(app, task)

    async def _end(self, app: asyncpg.Connection, task: asyncpg.Record) -> None:
        if task["state"] == "DISPUTED":
            outcome = self._chance.choice(["HUSTLER", "POSTER", "SPLIT"])
            share = self._chance.randrange(1, task["price"])
            answer = await ask(
                app, "resolve_dispute", task["admin"], task["dispute"], outcome, share, "So be it"
            )
        elif task["state"] == "PROOF_SUBMITTED":
            answer = await ask(app, "approve_task", task["poster_id"], task["id"])
        elif task["state"] == "WORKING" or task["arrived_at"] is not None:
            answer = await ask(
                app, "submit_proof", task["assigned_hustler_id"], task["id"], "CODE", True
            )
        else:
            answer = await ask(app, "cancel_task", task["poster_id"], task["id"], None)
        answer.done()

    async def settle(self) -> None:
        """The provider moves what is left to move."""
        database = await Database.open(self._database.dsn)
        try:
            worker = settlement_worker(Store(database), self.payments)
            while await worker.settle_waiting():
                pass
        finally:
            await database.close()

    async def check_books(self) -> None:
        """Every escrow has ended and is empty, and what was charged went out, to the cent."""
        assert await broken(self._owner) == {}
        held = await self._owner.fetchval(
            "select count(*) from escrows where state in ('PENDING', 'FUNDED', 'LOCKED_DISPUTE')"
        )
        waiting = await self._owner.fetchval(
            "select count(*) from settlements where state <> 'DONE'"
        )
        assert (held, waiting) == (0, 0)
        sums = dict(
            await self._owner.fetch("select kind, sum(amount) from money_entries group by kind")
        )
        assert sum(sums.values()) == 0
        assert sum(self.payments.transfers.values()) == -sums["TRANSFER"]
        assert sum(self.payments.refunds.values()) == -sums["REFUND"]


GOING = """
select
    t.*,
    d.id as dispute,
    (
        select u.id from users as u
        where u.role = 'admin' and u.id is distinct from d.opened_by
        limit 1
    ) as admin
from tasks as t left join disputes as d on d.task_id = t.id
where t.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
"""


async def hold_fights(
    database: TestDatabase, lines: Lines, owner: asyncpg.Connection, each: int, seed: int
) -> Arena:
    """Every fight over `each` escrows, and the settling of them all."""
    await clock.stop(owner)
    arena = Arena(database, lines, owner, seed)
    for fight in FIGHTS:
        cases = await arena.setup(fight, each)
        await clock.advance(owner, fight.later_s)
        await arena.fight_all(fight, cases)
    assert await broken(owner) == {}
    await arena.end_everything()
    await arena.settle()
    await arena.check_books()
    return arena


async def test_of_four_conflicting_commands_one_decides_and_no_cent_is_lost(
    fresh_database: TestDatabase, lines: Lines, owner: asyncpg.Connection
) -> None:
    """150 escrows at seven points of a task's life."""
    arena = await hold_fights(fresh_database, lines, owner, 22, seed=5)

    assert set(arena.received) <= {"done", "HX001", "HX010", "NOT_FOUND"}
    assert len(arena.winners) > 10


@pytest.mark.long
@pytest.mark.timeout(1_500)
async def test_of_four_conflicting_commands_one_decides_over_5000_escrows(
    fresh_database: TestDatabase, lines: Lines, owner: asyncpg.Connection
) -> None:
    """As above, long enough for every two of them to meet in either order."""
    arena = await hold_fights(fresh_database, lines, owner, 715, seed=6)

    every = {name for fight in FIGHTS for name in fight.contenders}
    never = {
        "no-show", "arrive", "propose by the poster", "propose by the hustler", "accept",
        "increase the price", "escalate", "evidence of the poster", "WORKING_STALE timer",
        "REPLACEMENT timer", "DISPUTE_DUE timer", "hand in nothing", "book the funding",
    }  # fmt: skip
    assert every - never <= set(arena.winners)

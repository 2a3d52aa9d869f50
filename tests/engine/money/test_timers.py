"""Every deadline, to the second: a second early nothing, then once, whoever fires it and how often.

The clock stands still in here until it is moved.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import pytest

from engine.kernel.ids import UserId
from engine.kernel.store import Store
from engine.kernel.timers import CLAIM_S, Timers
from sql.database import Database
from tests.engine.money import clock
from tests.engine.money.books import broken
from tests.engine.money.raw_commands import ask
from tests.engine.money.setup import Case, Ledger, Setup, casts
from tests.support.market import RecordingEffects, execution_on
from tests.support.servers import RunServers, TestDatabase, clone_of

MINUTE, HOUR, DAY = 60, 3_600, 86_400
DUE = "select count(*) from timers where due_at <= hx_clock()"
UNCLAIMED = f"{DUE} and coalesce(claimed_until, '-infinity') <= hx_clock()"
"""Among them those that rest for a moment, because another one held their row."""
REMINDERS = ("CHOICE", "DEADLINE_PASSED")


def timers_on(database: Database, sink: RecordingEffects) -> Timers:
    """One process's timers."""
    store = Store(database)
    return Timers(execution_on(store, sink), store, lambda _: None)


class AdminCommands:
    """A setup with its clock, and the timers of one process."""

    def __init__(
        self, database: Database, app: asyncpg.Connection, owner: asyncpg.Connection
    ) -> None:
        self.database = database
        self.app = app
        self.owner = owner
        self.setup = Setup(app, Ledger())
        self.effects = RecordingEffects()
        self.restart()

    def restart(self) -> None:
        """A new process: nothing is remembered but the rows."""
        self.timers = timers_on(self.database, self.effects)

    async def bring(self, point: str, **more: Any) -> Case:
        """A task of new people."""
        cast = (await casts(self.owner, 1))[0]
        return await self.setup.bring(cast, point, **more)

    async def wait(self, seconds: float) -> None:
        """Time passes, and whatever is due fires, until nothing is."""
        await clock.advance(self.owner, seconds)
        while await self.timers.fire_due() or await self.app.fetchval(UNCLAIMED):
            pass

    async def now(self) -> datetime:
        """The stopped clock."""
        now: datetime = await self.app.fetchval("select hx_clock()")
        return now

    async def task(self, case: Case) -> tuple[str, str | None]:
        """Its state, and why it was cancelled."""
        row = await self.app.fetchrow(
            "select state, cancel_reason from tasks where id = $1", case.task
        )
        return row["state"], row["cancel_reason"]

    async def items(self, kind: str, case: Case) -> int:
        """How many things of a kind wait for an admin about this task."""
        count: int = await self.app.fetchval(
            "select count(*) from admin_items"
            " where kind = $1 and subject = any($2::text[]) and closed_at is null",
            kind,
            [str(case.task), str(case.escrow), str(case.dispute)],
        )
        return count

    def received(self, user: UUID) -> list[str]:
        """The types of all events this user was told, in order."""
        return self.effects.types_for(UserId(user))

    def nudges(self, user: UUID) -> list[str]:
        """What this user was reminded of, in order."""
        return [
            event.data["kind"]
            for applied in self.effects.committed
            for event in applied.events
            if event.user_id == user and event.type == "NUDGE"
        ]


@asynccontextmanager
async def open_admin_queue(
    database: TestDatabase, *, stopped: bool = True
) -> AsyncIterator[AdminCommands]:
    """A desk on a database whose clock stands still, or goes on by itself."""
    pool = await Database.open(database.dsn, size=2)
    app = await asyncpg.connect(database.dsn)
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        if stopped:
            await clock.stop(owner)
        yield AdminCommands(pool, app, owner)
    finally:
        await app.close()
        await owner.close()
        await pool.close()


@pytest.fixture(scope="module")
async def admin_queries(
    run_servers: RunServers, worker_number: int
) -> AsyncIterator[AdminCommands]:
    """One desk for all: its clock only ever goes forward, and every test brings its own people."""
    with clone_of(run_servers, f"gw{worker_number}_timers") as database:
        async with open_admin_queue(database) as admin_queries:
            yield admin_queries


class RequestMiddleware(NamedTuple):
    """What waits how long from which point, and what stands there afterwards."""

    kind: str
    point: str
    after_s: int
    before: tuple[str, str | None]
    then: tuple[str, str | None]
    item: str | None = None


BORDERS = (
    RequestMiddleware("UNFUNDED", "UNFUNDED", DAY, ("MATCHING", None), ("CANCELLED", "UNFUNDED")),
    RequestMiddleware("UNFUNDED", "INTENDED", DAY, ("MATCHING", None), ("CANCELLED", "UNFUNDED")),
    RequestMiddleware(
        "CHOICE", "UNCHOSEN", 10 * MINUTE + DAY, ("MATCHING", None), ("CANCELLED", "NO_CHOICE")
    ),
    RequestMiddleware(
        "REVIEW", "SUBMITTED", 48 * HOUR, ("PROOF_SUBMITTED", None), ("COMPLETED", None)
    ),
    RequestMiddleware(
        "WORKING_STALE", "WORKING", DAY, ("WORKING", None), ("WORKING", None), "WORKING_STALE"
    ),
    RequestMiddleware(
        "FUNDS_HELD", "ARRIVED", 60 * DAY, ("ACCEPTED", None), ("ACCEPTED", None), "FUNDS_HELD"
    ),
    RequestMiddleware(
        "DISPUTE_DUE", "DISPUTED", 72 * HOUR, ("DISPUTED", None), ("DISPUTED", None), "DISPUTE_DUE"
    ),
)


@pytest.mark.parametrize("border", BORDERS, ids=lambda b: f"{b.kind} of {b.point}")
async def test_a_timer_fires_at_its_border_and_not_a_second_before(
    admin_queries: AdminCommands, border: RequestMiddleware
) -> None:
    """And never again: a restarted process finds nothing to do."""
    case = await admin_queries.bring(border.point)

    await admin_queries.wait(border.after_s - 1)
    assert await admin_queries.task(case) == border.before
    assert border.item is None or await admin_queries.items(border.item, case) == 0

    admin_queries.restart()
    await admin_queries.wait(1)
    assert await admin_queries.task(case) == border.then
    assert border.item is None or await admin_queries.items(border.item, case) == 1

    admin_queries.restart()
    received = admin_queries.received(case.poster)
    await admin_queries.wait(30 * DAY)
    assert admin_queries.received(case.poster) == received
    assert await broken(admin_queries.owner) == {}


async def test_a_broadcast_ends_after_ten_minutes_and_reminds_after_1_and_23_hours(
    admin_queries: AdminCommands,
) -> None:
    """The poster is told at once, twice more, and no longer when the day is over."""
    case = await admin_queries.bring("ON_OFFER")
    state = "select state from live_broadcasts where task_id = $1"

    await admin_queries.wait(10 * MINUTE - 1)
    assert await admin_queries.app.fetchval(state, case.task) == "ACTIVE"
    await admin_queries.wait(1)
    assert await admin_queries.app.fetchval(state, case.task) == "EXPIRED"
    assert admin_queries.received(case.poster)[-1:] == ["LIVE_BROADCAST_UPDATE"]

    said = []
    for seconds in (HOUR - 1, 1, 22 * HOUR - 1, 1, HOUR - 1, 1):
        await admin_queries.wait(seconds)
        said.append(len(admin_queries.nudges(case.poster)))
    assert said == [0, 1, 1, 2, 2, 2]
    assert await admin_queries.task(case) == ("CANCELLED", "NO_CHOICE")


async def test_who_has_chosen_is_reminded_of_nothing(admin_queries: AdminCommands) -> None:
    """Neither the reminders nor the end of the day reach a task that went on."""
    case = await admin_queries.bring("UNCHOSEN")
    (await ask(admin_queries.app, "choose_after_broadcast", case.poster, case.task, "SWITCH_TO_STANDARD",
               None)).done()  # fmt: skip
    await admin_queries.wait(2 * DAY)

    assert admin_queries.nudges(case.poster) == []
    assert await admin_queries.task(case) == ("CANCELLED", "SWITCHED_TO_STANDARD")
    successor = "select state from tasks where predecessor_id = $1"
    assert await admin_queries.app.fetchval(successor, case.task) == "OPEN"


@pytest.mark.parametrize("point", ["RAISED", "AGREED"])
async def test_a_replacement_waits_15_minutes_for_its_payment(
    admin_queries: AdminCommands, point: str
) -> None:
    """Then the old price stands again, and what was agreed about it has lapsed."""
    case = await admin_queries.bring(point)
    state = "select state from escrows where id = $1"

    await admin_queries.wait(15 * MINUTE - 1)
    assert await admin_queries.app.fetchval(state, case.replacement) == "PENDING"
    await admin_queries.wait(1)
    assert await admin_queries.app.fetchval(state, case.replacement) == "CANCELLED"
    assert await admin_queries.app.fetchval(state, case.escrow) == "FUNDED"
    if case.proposal is not None:
        proposal = "select state from price_proposals where id = $1"
        assert await admin_queries.app.fetchval(proposal, case.proposal) == "LAPSED"
        assert "PRICE_PROPOSAL" in admin_queries.received(case.hustler)


async def test_a_payment_a_second_too_late_goes_back_even_before_the_timer_has_fired(
    admin_queries: AdminCommands,
) -> None:
    """The clock decides, not who comes first; the old price stands."""
    in_time, late = await admin_queries.bring("AGREED"), await admin_queries.bring("AGREED")
    await clock.advance(admin_queries.owner, 15 * MINUTE)
    await admin_queries.setup.pay(in_time.replacement or UUID(int=0), 5_000, in_time.poster)
    await clock.advance(admin_queries.owner, 1)
    await admin_queries.setup.pay(late.replacement or UUID(int=0), 5_000, late.poster)

    states = [
        await admin_queries.app.fetchval("select state from escrows where id = $1", escrow)
        for escrow in (in_time.replacement, in_time.escrow, late.replacement, late.escrow)
    ]
    assert states == ["FUNDED", "FUNDED", "CANCELLED", "FUNDED"]
    price = "select price from tasks where id = $1"
    assert await admin_queries.app.fetchval(price, in_time.task) == 5_000
    assert await admin_queries.app.fetchval(price, late.task) == 4_000
    given_back = "select kind, refund_amount from settlements where escrow_id = $1"
    assert tuple(await admin_queries.app.fetchrow(given_back, late.replacement)) == (
        "REFUND",
        5_000,
    )
    assert await broken(admin_queries.owner) == {}


async def test_a_late_payment_goes_back_while_the_clock_goes_on(
    fresh_database: TestDatabase,
) -> None:
    """Between two steps of one booking time passes, and changes nothing."""
    async with open_admin_queue(fresh_database, stopped=False) as admin_queries:
        case = await admin_queries.bring("RAISED")
        await admin_queries.owner.execute("insert into clock_offset (amount) values ('16 minutes')")
        await admin_queries.setup.pay(case.replacement or UUID(int=0), 4_500, case.poster)

        states = await admin_queries.app.fetch("select state from escrows order by amount")
        assert [row["state"] for row in states] == ["FUNDED", "CANCELLED"]
        assert await broken(admin_queries.owner) == {}


DEADLINES = {
    "UNFUNDED": ("EXPIRED", "DEADLINE"),
    "INTENDED": ("EXPIRED", "DEADLINE"),
    "ON_OFFER": ("EXPIRED", "DEADLINE"),
    "UNCHOSEN": ("EXPIRED", "DEADLINE"),
    "RAISED": ("EXPIRED", "DEADLINE"),
    "ACCEPTED": ("ACCEPTED", None),
    "PROPOSED": ("ACCEPTED", None),
    "ARRIVED": ("ACCEPTED", None),
    "WORKING": ("WORKING", None),
    "SUBMITTED": ("PROOF_SUBMITTED", None),
    "DISPUTED": ("DISPUTED", None),
    "COMPLETED": ("COMPLETED", None),
    "CANCELLED": ("CANCELLED", "POSTER_CANCELLED"),
}


@pytest.mark.parametrize("point", DEADLINES)
async def test_a_deadline_ends_the_waiting_and_never_the_work(
    admin_queries: AdminCommands, point: str
) -> None:
    """Who drives or works is told, with the poster, once; in every state the rest is silence."""
    deadline = await admin_queries.now() + timedelta(minutes=12)
    case = await admin_queries.bring(point, deadline=deadline)
    before = await admin_queries.task(case)

    await admin_queries.wait(12 * MINUTE - 1)
    assert await admin_queries.task(case) == before
    admin_queries.restart()
    await admin_queries.wait(1)

    assert await admin_queries.task(case) == DEADLINES[point]
    received = ["DEADLINE_PASSED"] if DEADLINES[point][0] in ("ACCEPTED", "WORKING") else []
    assert admin_queries.nudges(case.poster) == received
    assert admin_queries.nudges(case.hustler) == received
    assert await broken(admin_queries.owner) == {}


async def test_a_deadline_that_has_passed_is_not_told_again_when_the_title_is_edited(
    admin_queries: AdminCommands,
) -> None:
    """Only another deadline is another timer."""
    case = await admin_queries.bring(
        "ACCEPTED", deadline=await admin_queries.now() + timedelta(minutes=12)
    )
    await admin_queries.wait(12 * MINUTE)
    (
        await ask(
            admin_queries.app, "edit_task", case.poster, case.task, '{"title": "Two doors"}', None
        )
    ).done()
    await admin_queries.wait(MINUTE)

    assert admin_queries.nudges(case.hustler) == ["DEADLINE_PASSED"]


async def test_a_process_that_was_away_for_a_week_brings_everything_to_its_end(
    admin_queries: AdminCommands,
) -> None:
    """Deadlines that passed together fire in any order; what one brings about fires too."""
    deadline = await admin_queries.now() + timedelta(hours=1)
    points = ["UNFUNDED", "ON_OFFER", "UNCHOSEN", "RAISED", "AGREED", "WORKING", "SUBMITTED",
              "DISPUTED"]  # fmt: skip
    cases = {point: await admin_queries.bring(point) for point in points}
    limited = {point: await admin_queries.bring(point, deadline=deadline) for point in points[:4]}

    await admin_queries.wait(7 * DAY)

    assert {point: (await admin_queries.task(case))[0] for point, case in cases.items()} == {
        "UNFUNDED": "CANCELLED",
        "ON_OFFER": "CANCELLED",
        "UNCHOSEN": "CANCELLED",
        "RAISED": "CANCELLED",
        "AGREED": "ACCEPTED",
        "WORKING": "WORKING",
        "SUBMITTED": "COMPLETED",
        "DISPUTED": "DISPUTED",
    }
    assert {(await admin_queries.task(case))[0] for case in limited.values()} == {"EXPIRED"}
    assert await admin_queries.app.fetchval(DUE) == 0
    assert await broken(admin_queries.owner) == {}


async def test_two_processes_fire_every_timer_once(
    fresh_database: TestDatabase,
) -> None:
    """One of them moves the task and tells about it; the other finds nothing to do."""
    async with open_admin_queue(fresh_database) as admin_queries:
        deadline = await admin_queries.now() + timedelta(days=1)
        cases = [
            await admin_queries.bring(point) for point in ("UNCHOSEN", "SUBMITTED", "WORKING") * 5
        ]
        limited = [await admin_queries.bring("ACCEPTED", deadline=deadline) for _ in range(5)]
        await clock.advance(admin_queries.owner, 3 * DAY)
        pools = [await Database.open(fresh_database.dsn, size=2) for _ in range(2)]
        sinks = [RecordingEffects(), RecordingEffects()]
        both = [timers_on(pool, sink) for pool, sink in zip(pools, sinks, strict=True)]
        due = await admin_queries.app.fetchval(DUE)
        for _ in range(3):
            await asyncio.gather(*(timers.fire_due() for timers in both))
        for pool in pools:
            await pool.close()

        assert sum(len(sink.committed) for sink in sinks) == due, "none was asked for twice"
        received = [e.seq for sink in sinks for a in sink.committed for e in a.events]
        stored = await admin_queries.app.fetchval(
            "select count(*) from user_events as e where e.at = hx_clock()"
        )
        assert len(received) == stored
        for case in (*cases, *limited):
            count = "select count(*) from user_events where user_id = $1 and type = 'NUDGE'"
            assert await admin_queries.app.fetchval(count, case.poster) <= 1
        steps = await admin_queries.app.fetch(
            "select task_id from task_transitions where at = hx_clock()"
        )
        assert len(steps) == len({row["task_id"] for row in steps}) == 10
        stale = [await admin_queries.items("WORKING_STALE", case) for case in cases]
        assert sum(stale) == 5
        assert {(await admin_queries.task(case))[0] for case in cases} == {
            "CANCELLED", "COMPLETED", "WORKING"
        }  # fmt: skip
        assert await broken(admin_queries.owner) == {}


async def test_what_a_killed_process_had_claimed_is_fired_when_its_claim_ends(
    fresh_database: TestDatabase,
) -> None:
    """To the second; one that is set anew meanwhile is nobody's."""
    async with open_admin_queue(fresh_database) as admin_queries:
        left, again = [await admin_queries.bring("SUBMITTED") for _ in range(2)]
        await clock.advance(admin_queries.owner, 2 * DAY)
        store = Store(admin_queries.database)
        assert await store.rows("claim_timers", 100, CLAIM_S, [], [])
        assert not await store.rows("claim_timers", 100, CLAIM_S, [], [])
        await admin_queries.app.execute(
            "select hx_timer('REVIEW', $1, hx_clock() + interval '1 second')", again.task
        )
        await admin_queries.wait(1)
        assert (await admin_queries.task(again))[0] == "COMPLETED"
        await admin_queries.wait(CLAIM_S - 1.001)
        assert (await admin_queries.task(left))[0] == "PROOF_SUBMITTED"
        await admin_queries.wait(0.001)
        assert (await admin_queries.task(left))[0] == "COMPLETED"


async def test_a_timer_set_again_while_it_fires_is_not_lost(admin_queries: AdminCommands) -> None:
    """A proof that is turned down and handed in again has its own 48 hours."""
    case = await admin_queries.bring("SUBMITTED")
    await admin_queries.wait(47 * HOUR)
    (await ask(admin_queries.app, "reject_task", case.poster, case.task, "Not clean")).done()
    (await ask(admin_queries.app, "submit_proof", case.hustler, case.task, "CODE", True)).done()

    await admin_queries.wait(48 * HOUR - 1)
    assert (await admin_queries.task(case))[0] == "PROOF_SUBMITTED"
    await admin_queries.wait(1)
    assert (await admin_queries.task(case))[0] == "COMPLETED"


async def test_asking_for_evidence_gives_another_72_hours(admin_queries: AdminCommands) -> None:
    """The item for the admin comes when the new time is over, once."""
    case = await admin_queries.bring("DISPUTED")
    await admin_queries.wait(71 * HOUR)
    (await ask(admin_queries.app, "advance_dispute", case.admin, case.dispute, "EVIDENCE_REQUESTED",
               "Show me")).done()  # fmt: skip
    await admin_queries.wait(72 * HOUR - 1)
    assert await admin_queries.items("DISPUTE_DUE", case) == 0
    await admin_queries.wait(1)
    assert await admin_queries.items("DISPUTE_DUE", case) == 1

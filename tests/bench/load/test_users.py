"""The users' own words, against the real service; the greenlets of locust are threads here."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench.load.users.accounts import Account, Accounts, Role, Ticket
from bench.load.users.codes import Codes
from bench.load.users.free_hustlers import FreeHustlers
from bench.load.users.hustler import Habits, HustlerSession
from bench.load.users.meter import ANSWER, CANCEL, FIRST_CARD, SESSION, WELCOME, FirstCards
from bench.load.users.poster import Custom, PosterSession
from bench.load.users.rest import Rest
from bench.load.users.session import LoadSession, Shared
from gateway.cli.dev_accounts import open_dev_accounts
from gateway.settings.groups import Settings
from tests.support.paths import ROOT
from tests.support.servers import TestDatabase
from tests.support.service import Service, running

PLACE = (37.7749, -122.4194)
WITHIN_S = 40.0
BRISK = Habits(think_s=(0.0, 0.1), heartbeat_s=0.5, work_s=0.05, cut_every_s=0.7)


class CountingMeter:
    """Counts successes, and keeps what failed."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def measured(self, name: str, seconds: float) -> None:
        """Counts one."""
        assert seconds >= 0
        self.counts[name] += 1

    def failed(self, name: str, error: Exception, seconds: float = 0.0) -> None:
        """Keeps one."""
        assert seconds >= 0
        self.failures.append(f"{name}: {error!r}")


@contextmanager
def shared_with(meter: CountingMeter, url: str, ws_url: str) -> Iterator[Shared]:
    """What the users of a test have in common."""
    with closing(Rest(url, meter)) as rest:
        yield Shared(ws_url, rest, meter, FirstCards(meter), Codes(), FreeHustlers())


@pytest.fixture
def meter() -> CountingMeter:
    """What the users of a test report to."""
    return CountingMeter()


@pytest.fixture
def shared(meter: CountingMeter, service: Service) -> Iterator[Shared]:
    """What they have in common."""
    with shared_with(meter, service.url, service.ws_url) as shared:
        yield shared


@asynccontextmanager
async def at_work(sessions: Sequence[LoadSession]) -> AsyncIterator[None]:
    """Each user in a thread of its own, while the block runs."""
    ended = threading.Event()

    def work(session: LoadSession) -> None:
        while not ended.is_set():
            session.turn()
        session.leave()

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(sessions)) as threads:
        working = [loop.run_in_executor(threads, work, session) for session in sessions]
        try:
            yield
        finally:
            ended.set()
            await asyncio.gather(*working)


async def until(holds: Callable[[], bool], meter: CountingMeter) -> None:
    """Waits for something to become true; says what was counted when it does not."""
    try:
        async with asyncio.timeout(WITHIN_S):
            while not holds():  # noqa: ASYNC110  # threads change it
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"{meter.counts} {meter.failures}")


@pytest.fixture
async def service(
    fresh_database: TestDatabase, fresh_valkey_url: str, tmp_path: Path
) -> AsyncIterator[Service]:
    """A service of this test, whose broadcasts end soon."""
    database = fresh_database
    async with running(
        database.dsn,
        database.owner_dsn,
        fresh_valkey_url,
        tmp_path,
        HX_BROADCAST_INTERVAL_S="1",
        HX_BROADCAST_TTL_S="3",
    ) as opened:
        yield opened


async def accounts(database: TestDatabase, data_dir: Path, counts: dict[Role, int]) -> Accounts:
    """So many people at one place."""
    settings = Settings.load(
        {
            "HX_POSTGRES_DSN": database.dsn,
            "HX_POSTGRES_OWNER_DSN": database.owner_dsn,
            "HX_DATA_DIR": str(data_dir),
            "HX_DEVELOPMENT": "true",
        }
    )
    async with open_dev_accounts(settings) as made:
        return Accounts(
            [
                Ticket(role, (await made.person(role, "Ada", uuid4().hex, PLACE)).token, *PLACE)
                for role, count in counts.items()
                for _ in range(count)
            ]
        )


@pytest.mark.long
async def test_people_match_cancel_choose_and_are_paid_while_they_are_cut_and_resume(
    shared: Shared, meter: CountingMeter, fresh_database: TestDatabase, tmp_path: Path
) -> None:
    """Everything that users do has been done, and no promise was broken."""
    people = await accounts(fresh_database, tmp_path, {"hustler": 6, "poster": 2})
    custom = Custom(every_s=0.3, cancels=0.4, patience_s=(0.0, 0.2), cut_every_s=1.5)
    sessions: list[LoadSession] = [
        HustlerSession(people.take("hustler"), shared, Random(number), BRISK) for number in range(6)
    ]
    sessions += [
        PosterSession(people.take("poster"), shared, Random(number), custom, lambda _: PLACE)
        for number in range(2)
    ]
    wanted = [
        *(FIRST_CARD, WELCOME, ANSWER, CANCEL, SESSION, "POST /v1/tasks/…/fund"),
        *("POST /v1/tasks/…/start", "POST /v1/tasks/…/proofs", "POST /v1/tasks/…/approve"),
        "POST /v1/tasks/…/broadcast-choice",
    ]
    async with at_work(sessions):
        await until(lambda: all(meter.counts[name] for name in wanted), meter)
        await until(lambda: meter.counts[WELCOME] >= 3 * len(sessions), meter)
    assert meter.failures == []


async def test_an_account_resumes_in_other_hands(
    shared: Shared, meter: CountingMeter, fresh_database: TestDatabase, tmp_path: Path
) -> None:
    """What was committed meanwhile comes before the WELCOME, and nothing is missing."""
    people = await accounts(fresh_database, tmp_path, {"poster": 1})
    quiet = Custom(every_s=1e6, cut_every_s=None)
    account = people.take("poster")

    def session() -> PosterSession:
        return PosterSession(account, shared, Random(1), quiet, lambda _: PLACE)

    async with at_work([session()]):
        await until(lambda: meter.counts[WELCOME] == 1, meter)
    before = account.events.last_seq
    people.put_back(account)
    await asyncio.to_thread(cancelled_task, shared, account.ticket.token)
    account = people.take("poster")
    async with at_work([session()]):
        await until(lambda: meter.counts[WELCOME] == 2, meter)
    assert before is not None
    assert account.events.last_seq is not None
    assert account.events.last_seq > before
    assert meter.failures == []


def cancelled_task(shared: Shared, token: str) -> None:
    """What a poster's log has events of."""
    task = shared.rest.request(
        token,
        "POST",
        "/v1/tasks",
        dict[str, Any],
        {
            "title": "Hang a door",
            "description": "It came off.",
            "category": "handyman",
            "price_cents": 4_000,
            "location": {"lat": PLACE[0], "lng": PLACE[1]},
        },
    )
    shared.rest.request(token, "POST", f"/v1/tasks/{task['id']}/cancel", dict[str, Any], {})


async def test_a_service_that_breaks_its_word_is_found_out(meter: CountingMeter) -> None:
    """An event left out, one sent twice, a card sent twice: each is one failure of the session."""
    card = {
        "broadcast_id": str(uuid4()),
        "task": {
            "id": str(uuid4()),
            "version": 1,
            "title": "Hang a door",
            "description": "It came off.",
            "category": "handyman",
            "price_cents": 4_000,
            "hustler_pay_cents": 3_400,
            "location": {"lat": 1.0, "lng": 1.0},
            "distance_miles": 1.0,
            "deadline": None,
            "xp_multiplier": 1.25,
        },
        "matching_score": 0.5,
        "expires_at": "2030-01-01T10:04:00.000000Z",
        "poster": {"first_name": "Ada", "trust_tier": 1},
    }
    welcome = {
        "session_id": str(uuid4()),
        "user_id": str(uuid4()),
        "server_time": "2030-01-01T10:04:00.000000Z",
        "last_seq": 3,
        "live": {"state": "OFF"},
        "offers": [],
        "tasks": [],
    }
    nudge = {"kind": "LIVE_3H", "text": "Take a break."}
    lies = [
        {"type": "WELCOME", "data": welcome},
        {"type": "NUDGE", "seq": 5, "data": nudge},
        {"type": "NUDGE", "seq": 5, "data": nudge},
        {"type": "LIVE_TASK_BROADCAST", "data": card},
        {"type": "LIVE_TASK_BROADCAST", "data": card},
        {"type": "NUDGE", "seq": 6, "data": nudge},
    ]

    async def lie(connection: ServerConnection) -> None:
        await connection.recv()
        for message in lies:
            await connection.send(json.dumps(message))
        await connection.wait_closed()

    account = Account(Ticket("hustler", "token", *PLACE), *PLACE)
    async with serve(lie, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with shared_with(meter, f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}") as shared:
            hustler = HustlerSession(account, shared, Random(1), Habits(cut_every_s=None))
            async with at_work([hustler]):
                await until(lambda: account.events.last_seq == 6, meter)
    assert [failure.split(": ")[0] for failure in meter.failures] == [SESSION] * 3
    assert ["missing" in meter.failures[0], "5 twice" in meter.failures[1]] == [True, True]
    assert "twice on one socket" in meter.failures[2]


async def test_a_service_that_is_not_there_is_a_failure(meter: CountingMeter) -> None:
    """Of WELCOME, at every try; the user goes on trying."""
    account = Account(Ticket("poster", "token", *PLACE), *PLACE)
    with shared_with(meter, "http://127.0.0.1:9", "ws://127.0.0.1:9") as shared:
        session = PosterSession(account, shared, Random(1), Custom(), lambda _: PLACE)
        async with at_work([session]):
            await until(lambda: len(meter.failures) >= 2, meter)
    assert {failure.split(": ")[0] for failure in meter.failures} == {WELCOME}


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="`make load` installs it")
def test_locust_runs_them_and_thresholds_decide(tmp_path: Path) -> None:
    """A run that nobody could be fast enough for is exit code 1; its report is there."""
    demanded = tmp_path / "mine.toml"
    demanded.write_text('failures = 0\n[p95_ms]\n"AUTH to WELCOME" = 0.001\n')
    received = subprocess.run(
        [
            *(sys.executable, "-m", "bench.load", "--shape", "hot", "--users", "10"),
            *("--seconds", "10", "--report", str(tmp_path), "--thresholds", str(demanded)),
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert received.returncode == 1, received.stderr
    assert "1 of 2 targets met" in received.stdout
    names = {entry["name"] for entry in json.loads((tmp_path / "hot.json").read_text())}
    assert {WELCOME, "POST /v1/tasks/…/fund"} <= names
    assert (tmp_path / "hot_stats.csv").is_file()

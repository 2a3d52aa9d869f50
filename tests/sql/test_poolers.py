"""Behind PgBouncer the service works, or does not start and says why."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engine.admin.processes import running_processes
from engine.money.providers.simulated import SimulatedPayments
from sql import invariants
from sql.database import Database, DatabaseUnfit
from sql.service_login import equip, login_of
from tests.support.market import Market, open_market
from tests.support.pgbouncer import USUAL, pgbouncer
from tests.support.servers import RunServers, TestDatabase, with_database
from tests.support.service import joined, live, near, running, somewhere

KEY = "p1"


@pytest.fixture
def login(run_servers: RunServers) -> Iterator[str]:
    """A login of nothing but its name, gone with the test."""
    name = f"hx_web_{uuid.uuid4().hex[:8]}"
    run_servers.psql(f"create role {name} login password '{KEY}'")
    yield name
    run_servers.psql(f"drop role {name}")


@dataclass(frozen=True)
class Place:
    """A database of this test, a login on it, and a folder for PgBouncer."""

    run: RunServers
    login: str
    database: TestDatabase
    folder: Path

    @property
    def name(self) -> str:
        """The database's own name."""
        return urlsplit(self.database.dsn).path.removeprefix("/")

    async def equip(self) -> list[str]:
        """What `hustlexp migrate` does for the login, as an administrator."""
        return await equip(with_database(self.run.superuser_dsn, self.name), self.login)

    def clear(self) -> None:
        """For the next PgBouncer."""
        for file in self.folder.iterdir():
            file.unlink()

    @asynccontextmanager
    async def pooled(self, mode: str, ignored: str = USUAL) -> AsyncIterator[str]:
        """The DSN of the login through a PgBouncer of its own."""
        logins = {self.login: KEY}
        async with pgbouncer(
            self.folder, self.run.superuser_dsn, logins, mode=mode, ignored=ignored
        ) as address:
            yield f"postgresql://{self.login}@/{self.name}?{address}"


@pytest.fixture
def place(
    run_servers: RunServers, login: str, fresh_database: TestDatabase, run_folder: Path
) -> Place:
    """The database goes before the login."""
    return Place(run_servers, login, fresh_database, run_folder)


WORKING = {
    "transaction": ("transaction", USUAL, 0),
    "transaction, nothing ignored": ("transaction", "", 0),
    "session": ("session", USUAL, 100),
    "session, nothing ignored": ("session", "", 100),
}


@pytest.mark.parametrize("how", WORKING)
async def test_the_service_works_behind_it(place: Place, how: str) -> None:
    """With a login that `hustlexp migrate` has seen: no call fails, and the guard holds."""
    mode, ignored, cache = WORKING[how]
    assert await place.equip() == []
    async with (
        open_market(place.database.dsn, place.database.owner_dsn) as direct,
        place.pooled(mode, ignored) as dsn,
    ):
        database = await Database.open(dsn, size=4, statement_cache=cache)
        market = Market(database, direct.app, direct.owner, SimulatedPayments())
        posters = [await market.user("poster") for _ in range(12)]
        tasks = await asyncio.gather(*(market.task(poster=poster) for poster in posters))
        await asyncio.gather(*map(market.commands.money.fund, posters, tasks))
        await asyncio.gather(*map(market.commands.tasks.cancel, posters, tasks, [None] * 12))
        assert {await market.state(task) for task in tasks} == {"CANCELLED"}
        session = await database.session()
        assert (session.pooled, session.complaints, session.login) == (True, (), place.login)
        await database.close()
        assert [v.check.name async for v in invariants.verify(dsn) if not v.agrees] == []


async def test_two_whole_services_work_through_one_pooler(
    place: Place, fresh_valkey_url: str, tmp_path: Path
) -> None:
    """In transaction mode: sockets, the net between them, claims, leases and the list of processes."""
    assert await place.equip() == []
    where = somewhere()
    async with place.pooled("transaction") as dsn, AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(
                running(
                    dsn,
                    place.database.owner_dsn,
                    fresh_valkey_url,
                    tmp_path,
                    HX_POSTGRES_STATEMENT_CACHE="0",
                    HX_POSTGRES_POOL="4",
                )
            )
            for _ in range(2)
        ]
        poster, hustler = await one.user("poster"), await other.user("hustler")
        async with joined(one, poster) as asking, live(other, hustler, near(where, 1.0)) as working:
            task = await one.funded(poster, where)
            card = await working.hear_until("LIVE_TASK_BROADCAST")
            answer = {"broadcast_id": card["data"]["broadcast_id"], "response": "ACCEPT"}
            received = await working.ask("RESPOND_TO_BROADCAST", answer)
            assert received["data"]["outcome"] == "WON"
            await asking.hear_until("JOB_ASSIGNED", task_id=task["id"])
            await one.rest(poster, "POST", f"/v1/tasks/{task['id']}/cancel", {})
            await working.hear_until("TASK_STATUS_UPDATE", task_id=task["id"], state="CANCELLED")
            await asking.hear_until("PAYMENT_REFUNDED", task_id=task["id"])
        held = await one.owner.fetch("select name from leases where worked_at is not null")
        assert {"partitions", "reconciliation"} <= {row["name"] for row in held}
        assert [p.role for p in await running_processes(one.parts.idempotency._store)] == ["all"]
        assert (await one.http.get("/metrics")).status_code == 200
        assert (await other.http.get("/readyz")).status_code == 200
        assert [v.check.name async for v in invariants.verify(dsn) if not v.agrees] == []


async def test_without_prepared_statements_it_does_not_start(place: Place) -> None:
    """PgBouncer before 1.21 in transaction mode: the sentence names the setting."""
    await place.equip()
    async with place.pooled("transaction") as dsn:
        with pytest.raises(DatabaseUnfit, match="HX_POSTGRES_STATEMENT_CACHE=0"):
            await Database.open(dsn, size=4)


BOUND = "".join(
    f"; alter role {{0}} set {name} = '5s'"
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
)
LACKING = {
    "no member": ("", "has not the rights of hx_app"),
    "no time-outs": ("grant hx_app to {0}", "statement_timeout is 0 ms"),
    "no lock time-out": (
        "grant hx_app to {0}; alter role {0} set statement_timeout = '8s'",
        "lock_timeout is 0 ms",
    ),
    "endless time-outs": (
        "grant hx_app to {0}; alter role {0} set statement_timeout = '1d'",
        "statement_timeout is 86400000 ms",
    ),
    "the owner": ("grant hx_owner to {0}", "may do more than hx_app"),
    "the owner in another role": (
        f"grant hx_owner, hx_app to {{0}}; alter role {{0}} set role = 'hx_app'{BOUND}",
        "may do more than hx_app",
    ),
    "a superuser": ("alter role {0} superuser", "may do more than hx_app"),
    "another clock": (
        "grant hx_app to {0}; grant update on clock_offset to {0}",
        "may do more than hx_app",
    ),
    "no triggers": (
        "grant hx_app to {0}; alter role {0} set session_replication_role = replica",
        "session_replication_role",
    ),
}


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("lack", LACKING)
async def test_a_login_that_its_pooler_leaves_without_guard_does_not_serve(
    place: Place, lack: str, mode: str
) -> None:
    """Other rights than hx_app's, or no time-outs, are a sentence with its remedy."""
    statements, sentence = LACKING[lack]
    place.run.psql(statements.format(place.login) or "select", place.name)
    async with place.pooled(mode) as dsn:
        with pytest.raises(DatabaseUnfit, match=sentence) as received:
            await Database.open(dsn, size=4, statement_cache=0)
    assert "hustlexp migrate" in str(received.value)


async def hustlexp(*words: str, **environ: str) -> tuple[int | None, str]:
    """The exit code of a command, and all that it said."""
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", *words),
        env={name: text for name, text in os.environ.items() if name[:3] != "HX_"} | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    received, _ = await run.communicate()
    return run.returncode, received.decode()


async def test_serve_and_doctor_say_what_is_wrong_and_migrate_mends_it(
    place: Place, tmp_path: Path
) -> None:
    """One sentence and exit code 1; the login that was lost in session mode is then fit."""
    async with place.pooled("session") as dsn:
        environ = {
            "HX_POSTGRES_DSN": dsn,
            "HX_POSTGRES_OWNER_DSN": with_database(place.run.superuser_dsn, place.name),
            "HX_REDIS_URL": place.run.redis_url,
            "HX_DATA_DIR": str(tmp_path),
            "HX_CODE_KEY": "k" * 32,
            "HX_JWT_ISSUERS": '[{"issuer": "https://id.example", "audience": "hustlexp",'
            f' "algorithms": ["HS256"], "key": "{"s" * 32}"}}]',
            "HX_PORT": "0",
            "HX_LOG_FORMAT": "console",
        }
        code, received = await hustlexp("serve", **environ)
        assert code == 1
        assert f"{place.login} has not the rights of hx_app" in received
        assert f'grant hx_app to "{place.login}";' in received
        assert "Traceback" not in received
        code, received = await hustlexp("doctor", **environ)
        assert code == 1
        assert f"WRONG PostgreSQL: {place.login} has not the rights" in received
        assert await hustlexp("migrate", **environ) == (0, "")
    place.clear()
    async with place.pooled("session"):
        _, received = await hustlexp("doctor", **environ)
        assert f"ok    login: {place.login} as {place.login}, through a pooler" in received


async def test_a_guard_that_is_lost_later_ends_the_service_s_readiness(place: Place) -> None:
    """Another user of the server session has changed it: the next look says so."""
    await place.equip()
    async with place.pooled("transaction") as dsn:
        database = await Database.open(dsn, size=2, statement_cache=0)
        assert (await database.session()).complaints == ()
        async with database._connection() as connection:
            await connection.execute("set statement_timeout = 0")
        assert "statement_timeout is 0 ms" in " ".join((await database.session()).complaints)
        await database.close()


def test_the_login_of_a_dsn_is_read_as_the_driver_reads_it() -> None:
    """Escaped, as a parameter, or left to the environment."""
    assert login_of("postgresql://web%40x:secret@db/hustlexp") == "web@x"
    assert login_of("postgresql:///d?user=web&host=/run") == "web"
    assert login_of("postgresql:///d") is None

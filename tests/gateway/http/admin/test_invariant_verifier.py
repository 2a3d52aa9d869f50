"""`hustlexp invariants verify`, and the service's own look at what must hold."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass

import asyncpg
import pytest
from structlog.testing import capture_logs

from engine.admin.invariant_verifier import InvariantVerifier
from engine.kernel.leases import Lease
from gateway import cli
from gateway.metrics.db_metrics import DbMetrics
from gateway.metrics.metrics import Metrics
from sql import invariants
from tests.gateway.http.admin.tampers import TAMPERS
from tests.gateway.http.admin.traffic import Traffic
from tests.support.servers import RunServers, TestDatabase, with_database

CHECKS = [check.name for check in invariants.checks()]
BROKEN = ["journal_holds_the_escrow", "total_xp_is_the_ledger", "events_have_no_gaps"]


@dataclass(frozen=True)
class Said:
    """What one command did."""

    code: int
    out: str
    err: str


Verify = Callable[..., Said]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Runs `hustlexp invariants verify` on one database, with no other HX_ setting."""
    for name in [name for name in os.environ if name.startswith("HX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")

    def command(dsn: str, *words: str) -> Said:
        monkeypatch.setenv("HX_POSTGRES_DSN", dsn)
        # On a thread of its own: commands run their own loop.
        with ThreadPoolExecutor(1) as thread:
            error = thread.submit(cli.main, ["invariants", "verify", *words]).exception()
        assert isinstance(error, SystemExit), error
        said = capsys.readouterr()
        return Said(int(error.code or 0), said.out, said.err)

    return command


async def tamper(owner: asyncpg.Connection, *names: str) -> None:
    """Break these facts for good."""
    for name in names:
        for statement in TAMPERS[name].statements():
            await owner.execute(statement)


async def test_the_command_names_every_check_and_ends_with_0_when_all_agree(
    own_traffic: Traffic, fresh_database: TestDatabase, verify: Verify
) -> None:
    """A line for each check with OK, and its sentence."""
    await own_traffic.scene_completed()
    said = verify(fresh_database.dsn)
    assert (said.code, said.err) == (0, "")
    lines = {line.split()[0]: line for line in said.out.splitlines() if line.strip()}
    assert all(" OK " in lines[name] for name in CHECKS)
    assert f"All {len(CHECKS)} checks agree." in said.out


async def test_the_command_lists_what_disagrees_and_ends_with_1(
    own_traffic: Traffic, fresh_database: TestDatabase, verify: Verify
) -> None:
    """Each broken check by its name, with its rows up to a cap, and how many there are."""
    await own_traffic.scene_completed()
    await own_traffic.scene_cancelled()
    await own_traffic.settle()
    await tamper(own_traffic.market.owner, *BROKEN)
    await own_traffic.market.owner.execute("delete from user_events where seq = 2")

    said = verify(fresh_database.dsn, "--json", "--rows", "1")
    assert said.code == 1
    results = {result["name"]: result for result in json.loads(said.out)}
    assert list(results) == CHECKS
    wrong = {name for name, result in results.items() if not result["agrees"]}
    assert wrong >= set(BROKEN)
    gaps = results["events_have_no_gaps"]
    assert gaps["count"] > len(gaps["rows"]) == 1

    said = verify(fresh_database.dsn, "--rows", "1")
    assert said.code == 1
    assert f"{len(wrong)} of {len(CHECKS)} checks disagree." in said.out
    assert f"… and {gaps['count'] - 1} more" in said.out
    assert gaps["rows"][0]["subject"] in said.out


def test_the_command_ends_with_2_when_it_could_not_look(
    run_servers: RunServers, verify: Verify
) -> None:
    """No server, or a database without our tables."""
    away = verify("postgresql://nobody@127.0.0.1:1/nothing")
    assert (away.code, away.out) == (2, "")
    assert "PostgreSQL does not answer" in away.err
    empty = verify(with_database(run_servers.dsn, "postgres"))
    assert (empty.code, empty.out) == (2, "")
    assert "is it migrated?" in empty.err


async def test_a_market_at_work_gives_no_false_alarm(
    own_traffic: Traffic, fresh_database: TestDatabase
) -> None:
    """Every verification sees one moment, however much is written meanwhile."""
    looks = 0

    async def look() -> None:
        nonlocal looks
        while True:
            async with aclosing(invariants.verify(fresh_database.dsn)) as results:
                wrong = [v async for v in results if not v.agrees]
            assert wrong == []
            looks += 1

    async with asyncio.TaskGroup() as group:
        looking = group.create_task(look())
        await own_traffic.play(1)
        looking.cancel()
    assert looks > 1


async def test_the_service_opens_an_item_for_what_is_broken_and_closes_it_when_it_agrees(
    own_traffic: Traffic, fresh_database: TestDatabase
) -> None:
    """R115: a tampered total is told without anybody asking: critical log, metric, item."""
    market = own_traffic.market
    task = await own_traffic.scene_completed()
    metrics = Metrics()
    verifier = InvariantVerifier(fresh_database.dsn, market.store, metrics.invariants, 3600)
    assert await verifier.verify() == []

    await tamper(market.owner, "total_xp_is_the_ledger")
    with capture_logs() as logs:
        assert await verifier.verify() == ["total_xp_is_the_ledger"]
        assert await verifier.verify() == ["total_xp_is_the_ledger"]
    received = [entry for entry in logs if entry["event"] == "invariant_broken"]
    assert [entry["log_level"] for entry in received] == ["critical", "critical"]
    assert received[0]["check"] == "total_xp_is_the_ledger"
    item = "select kind, details, closed_at from admin_items where subject = $1"
    rows = await market.app.fetch(item, "total_xp_is_the_ledger")
    assert len(rows) == 1
    assert rows[0]["kind"] == "INVARIANT_BROKEN"
    assert json.loads(rows[0]["details"])["count"] == 1
    assert b'hustlexp_invariant_disagreements{check="total_xp_is_the_ledger"} 1.0' in metrics.page()

    # Another process, which has verified nothing, says the same when it is asked.
    other = Metrics()
    await Lease(market.store, "verification").run(verifier.verify, every_s=3600)
    await DbMetrics(market.store, other, time.monotonic).refresh()
    assert b'hustlexp_invariant_disagreements{check="total_xp_is_the_ledger"} 1.0' in other.page()
    verified_at = other.registry.get_sample_value("hustlexp_verified_timestamp_seconds")
    began = "select extract(epoch from worked_at)::double precision from leases"
    assert verified_at == await market.app.fetchval(began)

    await market.owner.execute(
        "update users set total_xp = xp_of(id) where id = (select assigned_hustler_id from tasks"
        " where id = $1)",
        task,
    )
    assert await verifier.verify() == []
    rows = await market.app.fetch(item, "total_xp_is_the_ledger")
    assert [row["closed_at"] is None for row in rows] == [False]
    assert b'hustlexp_invariant_disagreements{check="total_xp_is_the_ledger"} 0.0' in metrics.page()


async def test_the_service_can_be_told_not_to_look(own_traffic: Traffic) -> None:
    """HX_VERIFY_S=0."""
    never = InvariantVerifier(
        "postgresql://nobody@127.0.0.1:1/x", own_traffic.market.store, Metrics().invariants, 0
    )
    async with asyncio.timeout(1):
        await never.run()
